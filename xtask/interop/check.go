// Checks an export with Go's sumdb packages, which have nothing to do with bulla, and leaves a note and a proof of its own.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var dir = os.Args[1]

func read(path string) []byte {
	data, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		log.Fatal(err)
	}
	return data
}

func write(path string, text string) {
	if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644); err != nil {
		log.Fatal(err)
	}
}

// open returns the tree that a signed checkpoint speaks of.
func open(path string) tlog.Tree {
	verifier, err := note.NewVerifier(string(read("key.pub")))
	if err != nil {
		log.Fatal(err)
	}
	opened, err := note.Open(read(path), note.VerifierList(verifier))
	if err != nil {
		log.Fatalf("%s: %v", path, err)
	}
	return parse(opened.Text)
}

func parse(text string) tlog.Tree {
	lines := strings.Split(text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		log.Fatal(err)
	}
	return tlog.Tree{N: size, Hash: root}
}

func hashes(lines []string) []tlog.Hash {
	var all []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			log.Fatal(err)
		}
		all = append(all, hash)
	}
	return all
}

// entries reads every bundle of entries, in order.
func entries(size int64) [][]byte {
	var all [][]byte
	for first := int64(0); first < size; first += 256 {
		width := size - first
		if width > 256 {
			width = 256
		}
		tile := tlog.Tile{H: 8, L: -1, N: first / 256, W: int(width)}
		// The package calls entries "data" and puts the height into the path.
		path := strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)
		bundle := read(path)
		for len(bundle) > 0 {
			length := binary.BigEndian.Uint16(bundle)
			all = append(all, bundle[2:2+length])
			bundle = bundle[2+length:]
		}
	}
	return all
}

func main() {
	tree, old := open("checkpoint"), open("checkpoint.old")

	all := entries(tree.N)
	if int64(len(all)) != tree.N {
		log.Fatalf("%d entries, not %d", len(all), tree.N)
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			found[i] = stored[index]
		}
		return found, nil
	})
	for i, entry := range all {
		more, err := tlog.StoredHashes(int64(i), entry, reader)
		if err != nil {
			log.Fatal(err)
		}
		stored = append(stored, more...)
	}
	for _, tree := range []tlog.Tree{old, tree} {
		root, err := tlog.TreeHash(tree.N, reader)
		if err != nil || root != tree.Hash {
			log.Fatalf("root of %d is %v, not %v: %v", tree.N, root, tree.Hash, err)
		}
	}

	// Every tile of hashes is what the package makes of the entries.
	for _, tile := range tlog.NewTiles(8, 0, tree.N) {
		// Partial tiles of every width on the way are named too; the tree ends with one.
		if tile.W < 256 && int64(tile.W) != (tree.N>>(8*uint(tile.L)))%256 {
			continue
		}
		data, err := tlog.ReadTileData(tile, reader)
		if err != nil {
			log.Fatal(err)
		}
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		if !bytes.Equal(data, read(path)) {
			log.Fatalf("%s differs", path)
		}
	}

	for _, index := range []int64{0, 40000, 69999} {
		text := strings.Split(string(read(fmt.Sprintf("%d.tlog-proof", index))), "\n\n")
		proof := hashes(strings.Split(text[0], "\n")[3:])
		if err := tlog.CheckRecord(tlog.RecordProof(proof), tree.N, tree.Hash, index, tlog.RecordHash(all[index])); err != nil {
			log.Fatalf("record %d: %v", index, err)
		}
	}

	text := strings.Split(string(read("consistency")), "\n\n")
	proof := hashes(strings.Split(text[0], "\n")[1:])
	if err := tlog.CheckTree(tlog.TreeProof(proof), tree.N, tree.Hash, old.N, old.Hash); err != nil {
		log.Fatalf("consistency: %v", err)
	}

	// The other way round: a checkpoint and a proof that Go made and signed, for `bulla check`.
	signer, err := note.NewSigner(string(read("key")))
	if err != nil {
		log.Fatal(err)
	}
	origin := strings.SplitN(string(read("checkpoint")), "\n", 2)[0]
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%v\n", origin, tree.N, tree.Hash)}, signer)
	if err != nil {
		log.Fatal(err)
	}
	made, err := tlog.ProveRecord(tree.N, 12345, reader)
	if err != nil {
		log.Fatal(err)
	}
	lines := []string{"c2sp.org/tlog-proof@v1", "extra " + base64.StdEncoding.EncodeToString(all[12345]), "index 12345"}
	for _, hash := range made {
		lines = append(lines, hash.String())
	}
	write("by-go.tlog-proof", strings.Join(lines, "\n")+"\n\n"+string(signed))
	fmt.Printf("golang.org/x/mod/sumdb: %d entries, %d proofs\n", tree.N, 4)
}
