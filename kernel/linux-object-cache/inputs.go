package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// optionsHeader has a definition for each option that is set.
const optionsHeader = "include/generated/autoconf.h"

// inputs are what an object depends on besides its command.
type inputs struct {
	// Header is the file with the options.
	Header string `json:"header"`
	// Files are those outside the source tree.
	Files []string `json:"files"`
	// Options are the names in all files, without the prefix, sorted.
	Options []string `json:"options"`
}

// inputsOf returns the inputs of an object that was compiled from files, or false if it may depend
// on others.
func inputsOf(files []string, source string) (inputs, bool) {
	var in inputs
	options := map[string]struct{}{}
	for _, path := range files {
		path = filepath.Clean(path)
		if path == optionsHeader {
			in.Header = path
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil || opaque(text) {
			return inputs{}, false
		}
		addOptions(options, text)
		if !filepath.IsAbs(path) || !within(path, source) {
			in.Files = append(in.Files, path)
		}
	}
	for name := range options {
		in.Options = append(in.Options, name)
	}
	slices.Sort(in.Options)
	return in, in.Header != ""
}

// opaque reports whether a file makes the compiler or assembler read what no list names, or depends
// on the time.
func opaque(text []byte) bool {
	for _, word := range []string{".incbin", "__DATE__", "__TIME__", "__TIMESTAMP__", "__has_include", "#embed"} {
		if bytes.Contains(text, []byte(word)) {
			return true
		}
	}
	// A comment in Linux has ".include <name>", which no assembler reads.
	return bytes.Count(text, []byte(".include")) > bytes.Count(text, []byte(".include <"))
}

// addOptions adds the names of the options in a file. Like Linux's fixdep, it relies on names that
// are written out: Linux joins none from parts.
func addOptions(options map[string]struct{}, text []byte) {
	prefix := []byte("CONFIG_")
	for {
		at := bytes.Index(text, prefix)
		if at < 0 {
			return
		}
		text = text[at+len(prefix):]
		end := 0
		for end < len(text) && isNamePart(text[end]) {
			end++
		}
		if name := strings.TrimSuffix(string(text[:end]), "_MODULE"); name != "" {
			options[name] = struct{}{}
		}
	}
}

func isNamePart(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// state describes the content of the inputs: equal states make equal objects.
func (in inputs) state() (string, error) {
	values, err := readOptions(in.Header)
	if err != nil {
		return "", err
	}
	var state strings.Builder
	for _, path := range in.Files {
		digest, err := digestOf(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&state, "file %q %s\n", path, digest)
	}
	for _, name := range in.Options {
		for _, name := range []string{name, name + "_MODULE"} {
			// An unset option has no value, not an empty one.
			if value, ok := values[name]; ok {
				fmt.Fprintf(&state, "option %s %q\n", name, value)
			} else {
				fmt.Fprintf(&state, "option %s\n", name)
			}
		}
	}
	return state.String(), nil
}

// readOptions returns the values of a header with options, by name without the prefix.
func readOptions(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if definition, ok := strings.CutPrefix(line, "#define CONFIG_"); ok {
			name, value, _ := strings.Cut(definition, " ")
			values[name] = value
		}
	}
	return values, nil
}
