package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// When a service that has ended is started again.
const (
	Never     = "never"
	OnFailure = "on-failure"
	Always    = "always"
)

// Rules are what the runtime.json of a service says about its start and its end. The zero value starts it at once, calls it
// ready when it has started, and leaves it when it ends.
type Rules struct {
	Restart string   `json:"restart"`
	After   []string `json:"after"`
	Ready   *Ready   `json:"ready"`
}

// Ready says how a service shows that it is ready: by one of Socket, Exec and Log.
type Ready struct {
	// Socket is the path of a Unix socket, in the root of the machine, that takes connections.
	Socket string `json:"socket"`
	// Exec is a command in the container that ends with 0.
	Exec []string `json:"exec"`
	// Log is a text in a line that the service has written since it started.
	Log string `json:"log"`
	// Timeout is how many seconds it may take; 0 stands for 60.
	Timeout float64 `json:"timeout"`
}

// LoadRules reads the rules of the service whose bundle is in dir.
func LoadRules(dir string) (Rules, error) {
	var rules Rules
	data, err := os.ReadFile(filepath.Join(dir, "runtime.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return rules, nil
	}
	if err != nil {
		return rules, err
	}
	if err := json.Unmarshal(data, &rules); err != nil {
		return rules, fmt.Errorf("%s/runtime.json: %w", dir, err)
	}
	return rules, nil
}

// again says whether a service that ended with a status, or could not be started (status -1), is started again.
func (r Rules) again(status int) bool {
	return r.Restart == Always || r.Restart == OnFailure && status != 0
}

func (r *Ready) timeout() time.Duration {
	if r.Timeout <= 0 {
		return time.Minute
	}
	return time.Duration(r.Timeout * float64(time.Second))
}
