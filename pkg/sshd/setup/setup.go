// Package setup is what the launcher and the monitor tell the processes that they start. It is the
// only input that those trust.
package setup

import (
	"encoding/json"
	"fmt"
	"os"

	"lkt/sshd/settings"
	"lkt/sshd/users"
)

// Setup is the setup of one process. Fields for others are empty.
type Setup struct {
	Settings settings.Settings `json:",omitzero"`
	// For the monitor.
	Users    []users.User `json:",omitempty"`
	Listener int          `json:",omitempty"` // the descriptor of its channel to the listener
	Keys     int          `json:",omitempty"` // that to keys
	// Extra are capabilities, as a bit set, that the container has beyond those of sshd. Logins of
	// root have them.
	Extra uint32 `json:",omitempty"`
	// For the listener: the number of its sockets.
	Sockets int `json:",omitempty"`
	// For the monitor and the speaker: the encoded public host key.
	HostKey []byte `json:",omitempty"`
	// For the speaker and the session: the addresses and ports of the connection.
	Remote, Local string `json:",omitempty"`
	// For the session.
	User         users.User `json:",omitzero"`
	Command      string     `json:",omitempty"`
	Terminal     bool       `json:",omitempty"`
	Destinations []string   `json:",omitempty"`
}

// The file descriptors of the processes that are started.
const (
	// ListenerMonitor is the listener's channel. Its sockets follow.
	ListenerMonitor = 3
	ListenerSockets = 4
	KeysMonitor     = 3
	KeysHostKey     = 4
	SpeakerSocket   = 3
	SpeakerKeys     = 4
	SpeakerSession  = 5
	SessionSpeaker  = 3
)

// The names of the processes that start others, and so cannot have the sandbox of a role: programs
// of logins would inherit it.
const (
	Monitor = "sshd-monitor"
	Session = "sshd-session"
)

const variable = "SSHD_SETUP"

// Environment returns the complete environment of a monitor or session.
func (s Setup) Environment() ([]string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return []string{variable + "=" + string(text)}, nil
}

// FromEnvironment returns the setup of this monitor or session.
func FromEnvironment() (Setup, error) {
	var s Setup
	if err := json.Unmarshal([]byte(os.Getenv(variable)), &s); err != nil {
		return s, fmt.Errorf("%s: %w", variable, err)
	}
	return s, nil
}
