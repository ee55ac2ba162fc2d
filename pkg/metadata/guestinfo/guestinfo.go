// Package guestinfo reads the variables with which the owner of a machine on VMware configures it:
// guestinfo.metadata and guestinfo.userdata, encoded as guestinfo.userdata.encoding says. They are
// those of LinuxKit and of cloud-init's data source VMware.
package guestinfo

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"lkt/metadata/instance"
	"lkt/vmware/backdoor"
)

const (
	// maxData is the size of the largest decoded value, that of a disk. VMware limits encoded ones
	// to 64 KiB.
	maxData = 16 << 20
	// absent is the host's answer for a variable that is not set.
	absent = backdoor.RequestError("No value found")
)

var (
	errElsewhere = errors.New("this machine does not run on VMware")
	errNone      = errors.New("guestinfo.userdata and guestinfo.metadata are not set")
)

// Read returns the metadata of this machine. It fails on other machines than VMware's, and if
// neither variable is set.
func Read() (*instance.Metadata, error) {
	if !backdoor.IsVMware() {
		return nil, errElsewhere
	}
	if err := backdoor.Probe(backdoor.IO); err != nil {
		return nil, fmt.Errorf("%w\n  fix: remove monitor_control.restrict_backdoor from the machine's configuration", err)
	}
	return read(backdoor.IO)
}

func read(call backdoor.Port) (*instance.Metadata, error) {
	m := instance.New("VMWARE")
	var err error
	if m.UserData, err = value(call, "guestinfo.userdata"); err != nil {
		return nil, err
	}
	text, err := value(call, "guestinfo.metadata")
	switch {
	case err != nil:
		m.Problem(err)
	case text == nil && m.UserData == nil:
		return nil, errNone
	default:
		m.AddNoCloud(string(text))
	}
	return m, nil
}

// value returns the decoded value of a variable, or nil if it is not set.
func value(call backdoor.Port, name string) ([]byte, error) {
	text, err := get(call, name)
	// cloud-init sets a variable to dashes to hide a value that it has read.
	if trimmed := strings.TrimSpace(text); err != nil || trimmed == "" || trimmed == "---" {
		return nil, err
	}
	encoding, err := get(call, name+".encoding")
	if err != nil {
		return nil, err
	}
	data, err := decode(text, strings.TrimSpace(encoding))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// get returns a variable, or "" if it is not set.
func get(call backdoor.Port, name string) (string, error) {
	text, err := backdoor.Ask(call, "info-get "+name)
	if errors.Is(err, absent) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}

func decode(text, encoding string) ([]byte, error) {
	switch encoding {
	case "":
		return []byte(text), nil
	case "base64", "b64", "gzip+base64", "gz+b64":
	default:
		return nil, fmt.Errorf("unknown encoding %.80q\n  fix: use base64 or gzip+base64, or no encoding for plain text", encoding)
	}
	data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || encoding[0] == 'b' {
		return data, err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	data, err = io.ReadAll(io.LimitReader(unpacked, maxData+1))
	if err == nil && len(data) > maxData {
		return nil, fmt.Errorf("more than %d bytes", maxData)
	}
	return data, err
}
