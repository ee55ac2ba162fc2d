package modules

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Aliases are the devices that modules support, from depmod(8)'s modules.alias.
type Aliases struct {
	// patterns are those of each bus: "pci" in "pci:v00001AF4d*".
	patterns map[string][]alias
	denied   map[string]bool
}

// alias is a pattern, and the module of devices that match it.
type alias struct{ literal, pattern, module string }

// OpenAliases reads modules.alias in root, the directory of a kernel's modules, and the "blacklist"
// lines of *.conf in config (modprobe.d(5)). A missing file has no aliases.
func OpenAliases(root, config string) (*Aliases, error) {
	a := &Aliases{map[string][]alias{}, map[string]bool{}}
	err := eachLine(filepath.Join(root, "modules.alias"), func(line string) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "alias" {
			pattern := forMatch(words[1])
			literal := pattern
			if end := strings.IndexAny(pattern, `*?[\`); end >= 0 {
				literal = pattern[:end]
			}
			bus := busOf(pattern)
			a.patterns[bus] = append(a.patterns[bus], alias{literal, pattern, canonical(words[2])})
		}
	})
	files, listErr := os.ReadDir(config)
	if errors.Is(listErr, fs.ErrNotExist) {
		listErr = nil
	}
	err = errors.Join(err, listErr)
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".conf") {
			continue
		}
		err = errors.Join(err, eachLine(filepath.Join(config, file.Name()), func(line string) {
			if words := strings.Fields(line); len(words) == 2 && words[0] == "blacklist" {
				a.denied[canonical(words[1])] = true
			}
		}))
	}
	return a, err
}

// Modules returns the names of the modules for a device, by the text of its file "modalias".
func (a *Aliases) Modules(modalias string) (names []string) {
	device := forMatch(strings.TrimSpace(modalias))
	seen := map[string]bool{}
	for _, one := range a.patterns[busOf(device)] {
		if seen[one.module] || a.denied[one.module] || !strings.HasPrefix(device, one.literal) {
			continue
		}
		if matches, err := path.Match(one.pattern, device); err == nil && matches {
			seen[one.module] = true
			names = append(names, one.module)
		}
	}
	return names
}

// IsEmpty reports whether no device has a module.
func (a *Aliases) IsEmpty() bool { return len(a.patterns) == 0 }

func busOf(text string) string {
	bus, _, _ := strings.Cut(text, ":")
	return bus
}

// forMatch returns a text for path.Match, whose wildcards do not match slashes.
func forMatch(text string) string { return strings.ReplaceAll(text, "/", "\x00") }
