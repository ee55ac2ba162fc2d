package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A store has, for each compilation, the inputs of its last objects, and each object by the state
// of its inputs. Several compilers use one at the same time.
type store struct {
	dir string
}

// A compilation with options that are changed to and fro has several sets of inputs.
const maxInputs = 8

func (s store) inputsPath(id string) string {
	return filepath.Join(s.dir, "inputs", id[:2], id)
}

func (s store) resultPath(id, state string) string {
	sum := sha256.Sum256([]byte(id + "\n" + state))
	name := hex.EncodeToString(sum[:])
	return filepath.Join(s.dir, "results", name[:2], name)
}

// find returns what a compiler would write for the present inputs.
func (s store) find(id string) (result, bool) {
	for _, in := range s.inputs(id) {
		state, err := in.state()
		if err != nil {
			continue
		}
		path := s.resultPath(id, state)
		sealed, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		r, ok := open(sealed)
		if !ok {
			os.Remove(path)
			continue
		}
		now := time.Now()
		os.Chtimes(path, now, now)
		os.Chtimes(s.inputsPath(id), now, now)
		return r, true
	}
	return result{}, false
}

// inputs returns the sets of inputs of a compilation, the latest first.
func (s store) inputs(id string) []inputs {
	path := s.inputsPath(id)
	sealed, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	text, ok := unseal(sealed)
	var all []inputs
	if !ok || json.Unmarshal(text, &all) != nil {
		os.Remove(path)
		return nil
	}
	return all
}

// add keeps a result and its inputs. An error leaves both out.
func (s store) add(id string, in inputs, r result) {
	state, err := in.state()
	if err != nil {
		return
	}
	all := s.inputs(id)
	all = slices.DeleteFunc(all, func(other inputs) bool {
		return other.Header == in.Header && slices.Equal(other.Files, in.Files) && slices.Equal(other.Options, in.Options)
	})
	all = append([]inputs{in}, all[:min(len(all), maxInputs-1)]...)
	text, err := json.Marshal(all)
	if err != nil {
		return
	}
	if s.write(s.resultPath(id, state), pack(r)) == nil {
		s.write(s.inputsPath(id), seal(text))
	}
}

// write writes a file whole or not at all.
func (s store) write(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, "new-")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		os.Remove(file.Name())
	}
	return err
}

// clean removes the least recently used files, until those that remain take limit bytes.
func (s store) clean(limit int64) error {
	type entry struct {
		path string
		info fs.FileInfo
	}
	var entries []entry
	var size int64
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				entries = append(entries, entry{path, info})
				size += info.Size()
			}
		}
		// Another compiler renames and removes files.
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	for _, e := range entries {
		if size <= limit {
			break
		}
		if err := os.Remove(e.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		size -= e.info.Size()
	}
	return nil
}

// seal puts the SHA-256 of a text before it.
func seal(text []byte) []byte {
	sum := sha256.Sum256(text)
	return append(sum[:], text...)
}

// unseal returns the text, or false if it has changed.
func unseal(sealed []byte) ([]byte, bool) {
	if len(sealed) < sha256.Size {
		return nil, false
	}
	text := sealed[sha256.Size:]
	sum := sha256.Sum256(text)
	return text, bytes.Equal(sum[:], sealed[:sha256.Size])
}

// pack returns the sealed form of a result: its list, a zero byte, and its object.
func pack(r result) []byte {
	return seal(slices.Concat(r.list, []byte{0}, r.object))
}

// open returns the result of a sealed form.
func open(sealed []byte) (result, bool) {
	text, ok := unseal(sealed)
	if !ok {
		return result{}, false
	}
	list, object, ok := bytes.Cut(text, []byte{0})
	return result{object: object, list: list}, ok
}
