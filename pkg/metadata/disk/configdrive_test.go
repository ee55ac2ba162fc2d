package disk

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"lkt/metadata/instance"
)

const metaData = `{"uuid": "1-2", "hostname": "web.novalocal", "name": "web", "availability_zone": "az1",
"public_keys": {"b": "ssh-ed25519 B b\n", "a": "ssh-ed25519 A a"}, "devices": [], "launch_index": 0}`

func readConfigDrives(t *testing.T, dir string) (*instance.Metadata, error) {
	t.Helper()
	return readWith(t, dir, ReadConfigDrive)
}

func TestReadConfigDrive(t *testing.T) {
	dir := t.TempDir()
	// Neither kind takes the other's disk.
	write(t, dir, "sr0", "cidata", map[string]string{"user-data": "wrong", "openstack/latest/meta_data.json": metaData})
	if m, err := readConfigDrives(t, dir); !errors.Is(err, ErrNone) {
		t.Fatalf("%+v, %v", m, err)
	}
	dir = t.TempDir()
	write(t, dir, "vdb", "config-2", map[string]string{
		"openstack/latest/meta_data.json": metaData, "openstack/latest/user_data": "of the owner",
	})
	if m, err := readAll(t, dir); !errors.Is(err, ErrNone) {
		t.Fatalf("%+v, %v", m, err)
	}
	m, err := readConfigDrives(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"hostname": "web.novalocal", "instance_id": "1-2", "availability_zone": "az1"}
	if m.Provider != "CONFIGDRIVE /dev/vdb" || string(m.UserData) != "of the owner" || !maps.Equal(m.Values, want) ||
		!slices.Equal(m.Keys, []string{"ssh-ed25519 A a", "ssh-ed25519 B b"}) || m.Problems != nil {
		t.Errorf("%+v", m)
	}
}

func TestReadConfigDriveWithoutUserData(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "sr0", "CONFIG-2", map[string]string{"openstack/latest/meta_data.json": `{"uuid": "1"}`})
	m, err := readConfigDrives(t, dir)
	if err != nil || m.UserData != nil || !maps.Equal(m.Values, map[string]string{"instance_id": "1"}) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestReadConfigDriveRejects(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"meta_data.json: file does not exist": {"openstack/latest/user_data": "x"},
		"vda: meta_data.json: invalid":        {"openstack/latest/meta_data.json": "<html>"},
		"meta_data.json: more than":           {"openstack/latest/meta_data.json": strings.Repeat(" ", maxMetaData+1)},
		"user_data: more than":                {"openstack/latest/meta_data.json": "{}", "openstack/latest/user_data": strings.Repeat("x", maxFile+1)},
	} {
		dir := t.TempDir()
		write(t, dir, "vda", "config-2", files)
		if m, err := readConfigDrives(t, dir); m != nil || errors.Is(err, ErrNone) || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", want, m, err)
		}
	}
}

// FuzzMetaData reads hostile meta_data.json, of which only valid values and keys may be left.
func FuzzMetaData(f *testing.F) {
	f.Add([]byte(metaData))
	f.Add([]byte(`{"hostname": "a\nb", "uuid": "\u001b[2J", "public_keys": {"": "ssh-ed25519 A\u0000"}}`))
	f.Add([]byte(`{"public_keys": null, "availability_zone": 1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := instance.New("x")
		if addOpenStack(m, data) != nil {
			return
		}
		if len(m.Keys) > 64 || len(m.Problems) > 64 || len(m.Values) > 3 {
			t.Fatalf("%d keys, %d problems, %d values", len(m.Keys), len(m.Problems), len(m.Values))
		}
		for _, text := range slices.Concat(m.Keys, slices.Collect(maps.Values(m.Values))) {
			if text == "" || strings.ContainsAny(text, "\n\r\x00\x1b") {
				t.Fatalf("%q", text)
			}
		}
	})
}
