// Package modules finds the modules of a kernel, and loads them after their dependencies.
package modules

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrNone means that there is no module with the name.
var ErrNone = errors.New("no such module")

// Tree is the set of modules of a kernel.
type Tree struct {
	// files has the path of each module by name.
	files map[string]string
	// builtin has the names of built-in modules.
	builtin map[string]bool
	// needs has the dependencies of each module by name, from depmod(8)'s modules.dep.
	needs map[string][]string
	// loaded is the directory in which the kernel lists loaded modules.
	loaded string
}

// Open finds the modules below root, which need not exist. loaded is the directory in which the
// kernel lists loaded modules, /sys/module.
func Open(root, loaded string) (*Tree, error) {
	t := &Tree{map[string]string{}, map[string]bool{}, map[string][]string{}, loaded}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if name := nameOf(path); name != "" {
				t.files[name] = path
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	err = errors.Join(eachLine(root+"/modules.builtin", func(line string) { t.builtin[nameOf(line)] = true }),
		eachLine(root+"/modules.dep", func(line string) {
			module, needed, _ := strings.Cut(line, ":")
			var names []string
			for _, path := range strings.Fields(needed) {
				names = append(names, nameOf(path))
			}
			t.needs[nameOf(module)] = names
		}))
	return t, err
}

// eachLine calls do for each line of a file, which need not exist.
func eachLine(path string, do func(string)) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		do(strings.TrimSpace(line))
	}
	return err
}

// nameOf returns the name of the module in a file, or "". Names have underscores where files may
// have hyphens.
func nameOf(path string) string {
	name, _, found := strings.Cut(filepath.Base(path), ".ko")
	if !found {
		return ""
	}
	return canonical(name)
}

func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// Load inserts a module after its dependencies. It skips modules that the kernel already has.
func (t *Tree) Load(name, parameters string, insert func(path, parameters string) error) error {
	return t.loadAfter(canonical(name), parameters, insert, nil)
}

func (t *Tree) loadAfter(name, parameters string, insert func(string, string) error, dependents []string) error {
	for _, a := range dependents {
		if a == name {
			return fmt.Errorf("dependency cycle of %s: %s", name, strings.Join(dependents, " "))
		}
	}
	if t.Has(name) {
		return nil
	}
	path, found := t.files[name]
	if !found {
		return ErrNone
	}
	needed, known := t.needs[name]
	if !known {
		var err error
		if needed, err = depends(path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	for i := len(needed) - 1; i >= 0; i-- {
		if err := t.loadAfter(canonical(needed[i]), "", insert, append(dependents, name)); err != nil {
			return fmt.Errorf("dependency %s: %w", needed[i], err)
		}
	}
	return insert(path, parameters)
}

// Has reports whether a module is loaded or built in.
func (t *Tree) Has(name string) bool {
	if t.builtin[name] {
		return true
	}
	_, err := os.Stat(filepath.Join(t.loaded, name))
	return err == nil && filepath.Base(name) == name
}

// depends returns the dependencies recorded in a module.
func depends(path string) ([]string, error) {
	if !strings.HasSuffix(path, ".ko") {
		return nil, errors.New("the module is compressed, and modules.dep does not list it")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := modinfo(file)
	if err != nil {
		return nil, err
	}
	for _, entry := range bytes.Split(info, []byte{0}) {
		if list, found := bytes.CutPrefix(entry, []byte("depends=")); found {
			return strings.FieldsFunc(string(list), func(r rune) bool { return r == ',' }), nil
		}
	}
	return nil, nil
}
