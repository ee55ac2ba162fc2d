package confine

import (
	"encoding/json"
	"fmt"
	"strings"
)

// checkedKeys are the keys that this package reads or sets, by the object that has them.
var checkedKeys = map[string][]string{
	"":             {"annotations", "linux", "mounts", "process", "root"},
	"process":      {"capabilities", "oomScoreAdj", "rlimits"},
	"capabilities": {"bounding"},
	"linux":        {"maskedPaths", "namespaces", "readonlyPaths", "resources", "seccomp"},
	"memory":       {"limit"},
	"resources":    {"memory", "pids"},
	"mounts":       {"destination", "options", "source", "type"},
	"namespaces":   {"path", "type"},
	"rlimits":      {"hard", "soft", "type"},
}

// checkKeys returns an error if an object of a config.json has one of these keys in another case.
// Some runtimes ignore the case of keys, so that such a key would replace a restriction.
func checkKeys(data json.RawMessage, name string) error {
	var list []json.RawMessage
	if json.Unmarshal(data, &list) == nil {
		for _, item := range list {
			if err := checkKeys(item, name); err != nil {
				return err
			}
		}
		return nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(data, &object) != nil {
		return nil // not an object: its reader reports that
	}
	for key, value := range object {
		for _, known := range checkedKeys[name] {
			if key != known && strings.EqualFold(key, known) {
				return fmt.Errorf("the key %q must be written %q", key, known)
			}
		}
		if checkedKeys[key] == nil {
			continue
		}
		if err := checkKeys(value, key); err != nil {
			return err
		}
	}
	return nil
}
