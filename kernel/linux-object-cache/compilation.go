package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A compilation is a command of Kbuild that compiles one file to one object and lists the headers
// that it includes.
type compilation struct {
	args    []string
	object  string
	list    string
	plugins []string
}

// A result is what a compiler writes.
type result struct {
	object []byte
	list   []byte
}

// parse returns the compilation of a command, or false for one with other inputs or outputs than
// this program knows.
func parse(args []string) (*compilation, bool) {
	c := &compilation{args: args}
	var compiles bool
	var sources int
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "-c":
			compiles = true
		case arg == "-o":
			i++
			if i == len(args) || c.object != "" || !strings.HasSuffix(args[i], ".o") {
				return nil, false
			}
			c.object = args[i]
		case strings.HasPrefix(arg, "-Wp,-MMD,"):
			if c.list != "" {
				return nil, false
			}
			c.list = strings.TrimPrefix(arg, "-Wp,-MMD,")
		case strings.HasPrefix(arg, "-fplugin="):
			c.plugins = append(c.plugins, strings.TrimPrefix(arg, "-fplugin="))
		case arg == "-include" || arg == "-I" || arg == "-idirafter" || arg == "-iquote":
			i++
		case arg == "-isystem":
			// The list leaves out what is found there.
			i++
			if i == len(args) || !strings.HasPrefix(args[i], "/usr/") {
				return nil, false
			}
		case unknown(arg):
			return nil, false
		case !strings.HasPrefix(arg, "-") && i > 0 && strings.HasSuffix(strings.ToLower(arg), ".c"),
			!strings.HasPrefix(arg, "-") && strings.HasSuffix(arg, ".S"):
			sources++
		}
	}
	return c, compiles && sources == 1 && c.object != "" && c.list != ""
}

// unknown reports whether an argument makes the compiler read or write further files.
func unknown(arg string) bool {
	for _, prefix := range []string{
		"@", "-E", "-M", "-S", "-Wa,@", "-Wa,-I", "-Wa,-a", "-Wp,-MD", "-Wp,-MF", "--coverage", "-fauto-profile",
		"-fdump", "-fprofile", "-fstack-usage", "-ftest-coverage", "-gsplit", "-imacros", "-isystem", "-save-temps",
		"-specs", "--specs", "--sysroot", "-wrapper", "-x",
	} {
		if strings.HasPrefix(arg, prefix) {
			return true
		}
	}
	return false
}

// id returns the name of the compilation in the store, for a key.
func (c *compilation) id(key string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "object-cache 1\n%q %q %q\n", key, dir, c.args)
	for _, plugin := range c.plugins {
		digest, err := digestOf(plugin)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s\n", digest)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// write writes the compiler's files.
func (c *compilation) write(r result) error {
	// The object is last, as Make takes it for complete.
	if err := os.WriteFile(c.list, r.list, 0o644); err != nil {
		return err
	}
	return os.WriteFile(c.object, r.object, 0o644)
}

// read returns what the compiler read and wrote, or false if the object may depend on more.
func (c *compilation) read(source string) (inputs, result, bool) {
	var r result
	var err error
	if r.list, err = os.ReadFile(c.list); err != nil {
		return inputs{}, r, false
	}
	if r.object, err = os.ReadFile(c.object); err != nil {
		return inputs{}, r, false
	}
	files, ok := dependencies(r.list)
	if !ok {
		return inputs{}, r, false
	}
	in, ok := inputsOf(files, source)
	return in, r, ok
}

// dependencies returns the files in a list that the compiler wrote for Make.
func dependencies(list []byte) ([]string, bool) {
	_, names, ok := strings.Cut(strings.ReplaceAll(string(list), "\\\n", " "), ": ")
	// Escaped blanks and further targets are not in Linux.
	if !ok || strings.ContainsAny(names, "\\$#:") {
		return nil, false
	}
	return strings.Fields(names), true
}

func digestOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// within reports whether a path is in a directory.
func within(path, dir string) bool {
	rest, err := filepath.Rel(dir, path)
	return err == nil && rest != ".." && !strings.HasPrefix(rest, "../")
}
