package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// errNone says that there is no module of a name.
var errNone = errors.New("there is no such module")

// tree is the modules of a kernel.
type tree struct {
	// files has the path of each, by its name.
	files map[string]string
	// builtin has the names of those that the kernel has in it.
	builtin map[string]bool
	// needs has what depmod(8) wrote about each, by its name: modules.dep.
	needs map[string][]string
	// loaded is where the kernel shows what it has.
	loaded string
}

// openTree looks for the modules below root. There may be none.
func openTree(root, loaded string) (*tree, error) {
	t := &tree{map[string]string{}, map[string]bool{}, map[string][]string{}, loaded}
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

// eachLine reads a file that need not be there.
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

// nameOf is the name of the module in a file, or empty. A file may have hyphens where the name has underscores.
func nameOf(path string) string {
	name, _, found := strings.Cut(filepath.Base(path), ".ko")
	if !found {
		return ""
	}
	return canonical(name)
}

func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// load gives a module to the kernel by insert, after those that it needs. What the kernel has is passed over.
func (t *tree) load(name, parameters string, insert func(path, parameters string) error) error {
	return t.after(canonical(name), parameters, insert, nil)
}

func (t *tree) after(name, parameters string, insert func(string, string) error, above []string) error {
	for _, a := range above {
		if a == name {
			return fmt.Errorf("%s needs itself: %s", name, strings.Join(above, " "))
		}
	}
	if t.has(name) {
		return nil
	}
	path, found := t.files[name]
	if !found {
		return errNone
	}
	needed, known := t.needs[name]
	if !known {
		var err error
		if needed, err = depends(path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	for i := len(needed) - 1; i >= 0; i-- {
		if err := t.after(canonical(needed[i]), "", insert, append(above, name)); err != nil {
			return fmt.Errorf("%s, which it needs: %w", needed[i], err)
		}
	}
	return insert(path, parameters)
}

// has says whether the kernel has a module, or has it in it.
func (t *tree) has(name string) bool {
	if t.builtin[name] {
		return true
	}
	_, err := os.Stat(filepath.Join(t.loaded, name))
	return err == nil && filepath.Base(name) == name
}

// depends is what a module says that it needs.
func depends(path string) ([]string, error) {
	if !strings.HasSuffix(path, ".ko") {
		return nil, errors.New("it is compressed, and there is no modules.dep that says what it needs")
	}
	file, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	section := file.Section(".modinfo")
	if section == nil {
		return nil, errors.New("it is no module")
	}
	info, err := section.Data()
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
