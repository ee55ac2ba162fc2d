// Package settings reads /etc/lkt/sshd.yml. docs/schema/sshd.json is its JSON schema.
package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"regexp"
	"strings"

	"golang.org/x/crypto/ssh"
	"gopkg.in/yaml.v3"
)

// Path is the file of the settings.
const Path = "/etc/lkt/sshd.yml"

// Settings are the settings of the server, complete with defaults.
type Settings struct {
	Port      uint16       `yaml:"port"`
	Addresses []netip.Addr `yaml:"addresses"`
	// Users are the users that may log in. Empty means all with a shell.
	Users []string `yaml:"users"`
	// HostKeys is the directory of the host key.
	HostKeys          string     `yaml:"hostKeys"`
	TrustedUserCAKeys []string   `yaml:"trustedUserCAKeys"`
	AcceptEnv         []string   `yaml:"acceptEnv"`
	SFTP              bool       `yaml:"sftp"`
	Forwarding        Forwarding `yaml:"forwarding"`
	Limits            Limits     `yaml:"limits"`
}

// Forwarding says which TCP connections may be forwarded.
type Forwarding struct {
	// Local forwards connections of the client's machine to what this machine reaches.
	Local bool `yaml:"local" json:",omitempty"`
	// Remote forwards connections to a loopback port of this machine to the client.
	Remote bool `yaml:"remote" json:",omitempty"`
}

// Limits bound what clients can use.
type Limits struct {
	AuthenticationSeconds int `yaml:"authenticationSeconds"`
	AuthenticationTries   int `yaml:"authenticationTries"`
	// Unauthenticated is the maximum number of connections before their login.
	Unauthenticated int `yaml:"unauthenticated"`
	// UnauthenticatedPerAddress is that of an IPv4 address or IPv6 /64.
	UnauthenticatedPerAddress int `yaml:"unauthenticatedPerAddress"`
	// Connections is the maximum number of logins.
	Connections int `yaml:"connections"`
	// Channels is the maximum number of open channels of a connection.
	Channels int `yaml:"channels"`
	// IdleSeconds is the time without any packet after which a connection ends. 0 means none.
	IdleSeconds int `yaml:"idleSeconds"`
}

// Default returns the settings without a file.
func Default() Settings {
	return Settings{
		Port:      22,
		HostKeys:  "/var/lib/sshd",
		AcceptEnv: []string{"LANG", "LC_*"},
		SFTP:      true,
		Limits: Limits{
			AuthenticationSeconds: 20, AuthenticationTries: 6, Unauthenticated: 10, UnauthenticatedPerAddress: 5,
			Connections: 20, Channels: 10, IdleSeconds: 3600,
		},
	}
}

// Load reads the settings of a file. A missing file means the defaults.
func Load(file string) (Settings, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Default(), nil
	}
	if err != nil {
		return Settings{}, err
	}
	s, err := Parse(text)
	if err != nil {
		return Settings{}, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// Parse parses settings in YAML.
func Parse(text []byte) (Settings, error) {
	s := Default()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return Settings{}, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return s, s.check()
}

var environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*\*?$`)

func (s Settings) check() error {
	if s.Port == 0 {
		return errors.New("port must be 1 to 65535")
	}
	if !path.IsAbs(s.HostKeys) {
		return errors.New("hostKeys must be an absolute path")
	}
	if len(s.Users) > 32 {
		return errors.New("users has more than 32 names")
	}
	for _, line := range s.TrustedUserCAKeys {
		if _, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line)); err != nil || len(options) > 0 || len(rest) > 0 {
			return fmt.Errorf("trustedUserCAKeys: %q is not a public key", line)
		}
	}
	for _, name := range s.AcceptEnv {
		if !environmentName.MatchString(name) || strings.HasPrefix(name, linker) {
			return fmt.Errorf("acceptEnv: %q is not the name of an environment variable, with * at the end at most", name)
		}
	}
	for _, limit := range []struct {
		name            string
		value, min, max int
	}{
		{"authenticationSeconds", s.Limits.AuthenticationSeconds, 5, 600},
		{"authenticationTries", s.Limits.AuthenticationTries, 1, 20},
		{"unauthenticated", s.Limits.Unauthenticated, 1, 100},
		{"unauthenticatedPerAddress", s.Limits.UnauthenticatedPerAddress, 1, 100},
		{"connections", s.Limits.Connections, 1, 1000},
		{"channels", s.Limits.Channels, 1, 100},
		{"idleSeconds", s.Limits.IdleSeconds, 0, 1 << 30},
	} {
		if limit.value < limit.min || limit.value > limit.max {
			return fmt.Errorf("limits: %s must be %d to %d", limit.name, limit.min, limit.max)
		}
	}
	return nil
}

// linker begins the variables of the dynamic linker, which run code of the client before that of a
// forced command.
const linker = "LD_"

// AcceptsEnvironment reports whether a client may set the variable.
func AcceptsEnvironment(patterns []string, name string) bool {
	if strings.HasPrefix(name, linker) {
		return false
	}
	for _, pattern := range patterns {
		prefix, isPrefix := strings.CutSuffix(pattern, "*")
		if name == pattern || isPrefix && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
