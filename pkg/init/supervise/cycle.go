package supervise

import (
	"maps"
	"slices"
	"strings"
)

// cycles returns, for each service that waits for itself, the cycle of its dependencies as text:
// "a after b after a". "lkt build" rejects such a config, but other tools write runtime.json too.
func cycles(rules map[string]Rules) map[string]string {
	found := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		if path := pathTo(rules, name, name, map[string]bool{}); path != nil {
			found[name] = strings.Join(append([]string{name}, path...), " after ")
		}
	}
	return found
}

// pathTo returns the services after from, up to the service to, or nil if from does not wait for
// it.
func pathTo(rules map[string]Rules, from, to string, seen map[string]bool) []string {
	for _, next := range rules[from].After {
		if next == to {
			return []string{next}
		}
		if seen[next] {
			continue
		}
		seen[next] = true
		if path := pathTo(rules, next, to, seen); path != nil {
			return append([]string{next}, path...)
		}
	}
	return nil
}
