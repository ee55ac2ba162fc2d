package sysctl

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Apply sets what the files DIR/*.conf say, in the order of their names, below root, which is /proc/sys. Of a parameter that is there
// more than once only the last is set: some cannot be set back. Everything that can be set is; a parameter this kernel does not have
// is noted. Nothing is set when a file cannot be understood.
func Apply(dir, root string, note func(format string, args ...any)) (failures int, err error) {
	settings, err := read(dir)
	if err != nil {
		return 0, err
	}
	for _, s := range settings {
		err := s.apply(root)
		switch {
		case err == nil, s.optional && errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, fs.ErrNotExist):
			note("%s: %s is not known to this kernel", s.place, s.key)
		case s.optional:
			note("%s: %v", s.place, err)
		default:
			note("%s: %v", s.place, err)
			failures++
		}
	}
	return failures, nil
}

// read lists the settings of all files, each parameter once.
func read(dir string) ([]setting, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.conf"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var settings []setting
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		more, err := parse(path, string(text))
		if err != nil {
			return nil, err
		}
		settings = append(settings, more...)
	}
	last := map[string]int{}
	for i, s := range settings {
		last[pathOf(s.key)] = i
	}
	var once []setting
	for i, s := range settings {
		if last[pathOf(s.key)] == i {
			once = append(once, s)
		}
	}
	return once, nil
}
