package instance

import (
	"encoding/json"
	"strings"
)

// AddNoCloud sets the name and the id from NoCloud's metadata, which is JSON or YAML. It parses
// YAML only in lines "key: value".
func (m *Metadata) AddNoCloud(text string) {
	var object map[string]any
	if json.Unmarshal([]byte(text), &object) == nil {
		for key, value := range object {
			if text, isText := value.(string); isText {
				m.setNoCloud(key, text)
			}
		}
		return
	}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimRight(strings.TrimSpace(line), ","), ":")
		m.setNoCloud(unquoted(key), unquoted(value))
	}
}

// setNoCloud sets the value of a key that has a file.
func (m *Metadata) setNoCloud(key, value string) {
	names := map[string]string{"instance-id": "instance_id", "local-hostname": "hostname"}
	if name, known := names[key]; known && value != "" {
		m.Set(name, value)
	}
}

func unquoted(text string) string {
	text = strings.TrimSpace(text)
	if len(text) >= 2 && (text[0] == '"' || text[0] == '\'') && text[len(text)-1] == text[0] {
		return text[1 : len(text)-1]
	}
	return text
}
