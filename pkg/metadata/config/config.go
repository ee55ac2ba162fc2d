// Package config writes metadata to a directory from which containers bind files. It writes nothing
// outside of the directory, whatever the directory contains: it does not follow links, and replaces
// existing files.
package config

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"lkt/metadata/instance"
	"lkt/metadata/userdata"
)

// Write writes the files that LinuxKit defines: provider, userdata, ssh/authorized_keys, and one
// for each value.
func Write(dir string, m *instance.Metadata) error {
	entries := []userdata.Entry{{Name: "provider", Mode: 0o644, Content: []byte(m.Provider)}}
	for _, name := range slices.Sorted(maps.Keys(m.Values)) {
		entries = append(entries, userdata.Entry{Name: name, Mode: 0o644, Content: []byte(m.Values[name])})
	}
	if m.UserData != nil {
		entries = append(entries, userdata.Entry{Name: "userdata", Mode: 0o644, Content: m.UserData})
	}
	if len(m.Keys) > 0 {
		keys := userdata.Entry{Name: "authorized_keys", Mode: 0o600, Content: []byte(strings.Join(m.Keys, "\n") + "\n")}
		ssh := userdata.Entry{Name: "ssh", Mode: 0o755, Directory: true, Entries: []userdata.Entry{keys}}
		entries = append(entries, ssh)
	}
	return WriteEntries(dir, entries)
}

// WriteEntries creates dir and writes files and directories in it.
func WriteEntries(dir string, entries []userdata.Entry) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return writeAll(root, entries)
}

func writeAll(root *os.Root, entries []userdata.Entry) error {
	for _, e := range entries {
		write := writeFile
		if e.Directory {
			write = writeDirectory
		}
		if err := write(root, e); err != nil {
			return fmt.Errorf("%s: %w", root.Name(), err)
		}
	}
	return nil
}

func writeFile(root *os.Root, e userdata.Entry) error {
	if err := root.Remove(e.Name); err != nil && !os.IsNotExist(err) {
		return err
	}
	// Mode 0600 first, so that no process can open the file too early.
	file, err := root.OpenFile(e.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(e.Content); err != nil {
		return err
	}
	if err := file.Chmod(e.Mode); err != nil {
		return err
	}
	return file.Close()
}

func writeDirectory(root *os.Root, e userdata.Entry) error {
	info, err := root.Lstat(e.Name)
	if err == nil && !info.IsDir() {
		if err := root.Remove(e.Name); err != nil {
			return err
		}
	}
	if err := root.Mkdir(e.Name, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	if info, err = root.Lstat(e.Name); err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: e.Name, Err: fs.ErrExist}
	}
	child, err := root.OpenRoot(e.Name)
	if err != nil {
		return err
	}
	defer child.Close()
	if err := writeAll(child, e.Entries); err != nil {
		return err
	}
	self, err := child.Open(".")
	if err != nil {
		return err
	}
	defer self.Close()
	return self.Chmod(e.Mode)
}
