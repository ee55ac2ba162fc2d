package sysctl

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Apply applies the files DIR/*.conf in the order of their names below root, which is /proc/sys. Of
// repeated parameters only the last is set, because some cannot be reset. It sets all parameters
// that it can, and reports unknown ones through note. If a file is invalid, it returns an error and
// sets nothing.
func Apply(dir, root string, note func(format string, args ...any)) (failures int, err error) {
	settings, err := readFiles(dir)
	if err != nil {
		return 0, err
	}
	for _, s := range expand(settings, root) {
		err := s.apply(root)
		switch {
		case err == nil, s.optional && errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, fs.ErrNotExist):
			note("%s: unknown parameter %s", s.location, s.key)
		case s.optional:
			note("%s: %v", s.location, err)
		default:
			note("%s: %v", s.location, err)
			failures++
		}
	}
	return failures, nil
}

// readFiles returns the settings of all files, each parameter once.
func readFiles(dir string) ([]setting, error) {
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
		last[keyPath(s.key)] = i
	}
	var once []setting
	for i, s := range settings {
		if last[keyPath(s.key)] == i {
			once = append(once, s)
		}
	}
	return once, nil
}

// expand replaces each pattern by the parameters that match it and that no other setting names. As
// in sysctl.d(5), a setting that names a parameter precedes any pattern, and a pattern may match
// none.
func expand(settings []setting, root string) []setting {
	named := map[string]bool{}
	for _, s := range settings {
		if !s.isPattern() {
			named[keyPath(s.key)] = true
		}
	}
	var found []setting
	for _, s := range settings {
		if !s.isPattern() {
			found = append(found, s)
			continue
		}
		// parse has checked the pattern.
		paths, _ := filepath.Glob(filepath.Join(root, keyPath(s.key)))
		for _, path := range paths {
			if key, err := filepath.Rel(root, path); err == nil && !named[key] {
				match := s
				match.key = key
				found = append(found, match)
			}
		}
	}
	return found
}
