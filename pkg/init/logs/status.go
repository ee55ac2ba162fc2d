package logs

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// Status counts the lines of a source since the machine started.
type Status struct {
	// Lines and Bytes were stored, at least for a while.
	Lines int64 `json:"lines"`
	Bytes int64 `json:"bytes"`
	// DroppedLines and DroppedBytes exceeded the rate limit and were not stored.
	DroppedLines int64 `json:"droppedLines"`
	DroppedBytes int64 `json:"droppedBytes"`
	// Unsent lines were stored, but not sent to the syslog server.
	Unsent int64 `json:"unsent"`
	// Kept is the size of the source's files.
	Kept int64 `json:"kept"`
}

const statusName = ".status"

// ReadStatus reads the status of each source. It may be some seconds old.
func ReadStatus(dir string) (map[string]Status, error) {
	data, err := os.ReadFile(filepath.Join(dir, statusName))
	if err != nil {
		return nil, err
	}
	var all map[string]Status
	return all, json.Unmarshal(data, &all)
}

// WriteStatus writes the file that ReadStatus reads.
func WriteStatus(dir string, all map[string]Status) error {
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, statusName)
	if err := os.WriteFile(path+".new", data, 0o640); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
