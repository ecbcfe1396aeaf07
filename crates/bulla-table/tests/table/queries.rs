//! Queries against a naive model: T3.

use crate::support::{ModelRow, Seeded, fill, table};
use bulla_table::{Order, Position, QueryBuilder, Raw, RawTable, Time};

/// A question in a form that both the table and the model understand.
#[derive(Clone, Debug, Default)]
struct Question {
    from_time: Option<i64>,
    to_time: Option<i64>,
    positions: Option<(u64, u64)>,
    kind: Option<u8>,
    limit: Option<u64>,
    limit_bytes: Option<u64>,
    is_descending: bool,
}

impl Question {
    /// Times lie in -50..200 and positions below 500, so bounds often fall on rows, between them and outside.
    fn random(random: &mut Seeded) -> Self {
        let time = |value: u64| i64::try_from(value).unwrap() - 60;
        Self {
            from_time: random.maybe(270).map(time),
            to_time: random.maybe(270).map(time),
            positions: random.maybe(500).map(|start| (start, random.below(500))),
            kind: random.maybe(4).map(|kind| u8::try_from(kind).unwrap()),
            limit: random.maybe(60),
            limit_bytes: random.maybe(3_000),
            is_descending: random.below(2) == 0,
        }
    }

    fn ask(&self, table: &RawTable) -> QueryBuilder<Vec<u8>, Raw> {
        let mut query = table.query();
        if let Some(time) = self.from_time {
            query = query.from_time(time);
        }
        if let Some(time) = self.to_time {
            query = query.to_time(Time(time));
        }
        if let Some((start, end)) = self.positions {
            query = query.positions(Position(start)..Position(end));
        }
        if let Some(kind) = self.kind {
            query = query.kind(kind);
        }
        if let Some(limit) = self.limit {
            query = query.limit(limit);
        }
        if let Some(limit) = self.limit_bytes {
            query = query.limit_bytes(limit);
        }
        query.order(if self.is_descending { Order::Descending } else { Order::Ascending })
    }

    fn answer(&self, model: &[ModelRow]) -> Vec<ModelRow> {
        let mut rows: Vec<ModelRow> = model
            .iter()
            .filter(|row| self.from_time.is_none_or(|from| from <= row.time))
            .filter(|row| self.to_time.is_none_or(|to| row.time < to))
            .filter(|row| self.positions.is_none_or(|(start, end)| (start..end).contains(&row.position.0)))
            .filter(|row| self.kind.is_none_or(|kind| kind == row.kind))
            .cloned()
            .collect();
        if self.is_descending {
            rows.reverse();
        }
        rows.truncate(self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap()));
        let mut bytes = 0;
        let within = rows.iter().enumerate().take_while(|(index, row)| {
            bytes += row.row.len() as u64;
            *index == 0 || self.limit_bytes.is_none_or(|limit| bytes <= limit)
        });
        let count = within.count();
        rows.truncate(count);
        rows
    }
}

/// What a table gives, owned and borrowed, which must be the same.
fn rows_of(table: &RawTable, question: &Question) -> Vec<ModelRow> {
    let owned: Vec<ModelRow> = question
        .ask(table)
        .iter()
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| ModelRow { position: entry.position, time: entry.time.0, kind: entry.kind.0, row: entry.row })
        .collect();
    let mut walk = question.ask(table).rows().unwrap();
    let mut borrowed = Vec::new();
    while let Some(row) = walk.next() {
        let row = row.unwrap();
        let payload = row.payload().unwrap().to_vec();
        assert_eq!(row.payload_len() as usize, payload.len());
        borrowed.push(ModelRow { position: row.position(), time: row.time().0, kind: row.kind().0, row: payload });
    }
    assert!(walk.next().is_none(), "a walk that has ended stays ended");
    assert_eq!(owned, borrowed, "{question:?}");
    owned
}

#[test]
fn every_question_is_answered_as_a_vector_would() {
    for seed in 0..4 {
        let table = table();
        let model = fill(&table, seed, 400);
        let falls = model.windows(2).filter(|pair| pair[1].time < pair[0].time).count();
        assert!(falls > 30, "seed {seed}: times run backwards in {falls} places");
        assert!(table.segments().unwrap().len() > 2, "seed {seed}: several segments");
        let mut random = Seeded::new(1_000 + seed);
        let mut answered = 0;
        for number in 0..150 {
            let question = Question::random(&mut random);
            let expected = question.answer(&model);
            answered += usize::from(!expected.is_empty());
            assert_eq!(rows_of(&table, &question), expected, "seed {seed}, question {number}: {question:?}");
        }
        assert!(answered > 30, "seed {seed}: only {answered} questions had an answer");
    }
}

#[test]
fn one_row_is_given_however_small_the_limit_by_bytes() {
    let table: RawTable = table();
    table.append_batch(&[vec![1; 50], vec![2; 10], vec![3; 10], vec![4; 1]]).unwrap();
    for (limit, descending, expected) in
        [(0, false, &[50][..]), (60, false, &[50, 10]), (69, false, &[50, 10]), (10, true, &[1]), (11, true, &[1, 10])]
    {
        let question = Question { limit_bytes: Some(limit), is_descending: descending, ..Question::default() };
        let lengths: Vec<_> = rows_of(&table, &question).iter().map(|row| row.row.len()).collect();
        assert_eq!(lengths, expected, "{question:?}");
    }
}

#[test]
fn a_walk_sees_what_was_there_when_it_began() {
    let table: RawTable = table();
    fill(&table, 7, 50);
    let count = table.len().unwrap();
    let rows = table.query().iter().unwrap();
    fill(&table, 8, 50);
    assert_eq!(rows.count() as u64, count);
}

#[test]
fn a_range_of_times_without_rows_reads_no_frame() {
    let table: RawTable = table();
    fill(&table, 9, 300);
    table.rotate().unwrap();
    let mut rows = table.query().from_time(1_000_000).iter().unwrap();
    assert!(rows.next().is_none());
    assert_eq!(rows.stats().frames_read, 0);
    let mut rows = table.query().rows().unwrap();
    assert!(rows.next().is_some());
    assert!(rows.stats().frames_read > 0);
}
