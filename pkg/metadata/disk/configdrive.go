package disk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"lkt/metadata/instance"
	"lkt/metadata/iso9660"
)

const (
	configDriveLabel = "config-2"
	configDriveFiles = "openstack/latest/"
	maxMetaData      = 1 << 20
)

// ReadConfigDrive returns the metadata of the first config drive of OpenStack: a CD or disk with an
// ISO image. It fails with ErrNone without one.
func ReadConfigDrive(all []Device) (*instance.Metadata, error) { return first(all, readConfigDrive) }

func readConfigDrive(file io.ReaderAt, name string) (*instance.Metadata, error) {
	image, err := iso9660.Open(file)
	if err != nil || !strings.EqualFold(image.Label, configDriveLabel) {
		return nil, ErrNone
	}
	text, err := image.ReadFile(configDriveFiles+"meta_data.json", maxMetaData)
	if err != nil {
		return nil, err
	}
	m := instance.New("CONFIGDRIVE /dev/" + name)
	if err := addOpenStack(m, text); err != nil {
		return nil, err
	}
	m.UserData, err = image.ReadFile(configDriveFiles+"user_data", maxFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return m, nil
}

// addOpenStack adds values and keys of meta_data.json.
func addOpenStack(m *instance.Metadata, text []byte) error {
	var data struct {
		UUID             string
		Hostname         string
		AvailabilityZone string            `json:"availability_zone"`
		PublicKeys       map[string]string `json:"public_keys"`
	}
	if err := json.Unmarshal(text, &data); err != nil {
		return fmt.Errorf("meta_data.json: %w", err)
	}
	for name, value := range map[string]string{
		"hostname": data.Hostname, "instance_id": data.UUID, "availability_zone": data.AvailabilityZone,
	} {
		if value != "" {
			m.Set(name, value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(data.PublicKeys)) {
		m.AddKeys(data.PublicKeys[name])
	}
	return nil
}
