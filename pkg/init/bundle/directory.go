package bundle

import (
	"encoding/json"
	"os"
	"syscall"
)

// Directory is a directory to make: in JSON its path, as in LinuxKit, or an object if it has an
// owner or a mode.
type Directory struct {
	Path string `json:"path"`
	// UID and GID are the owner; nil leaves that of an existing directory, and root for a new one.
	UID *int `json:"uid"`
	GID *int `json:"gid"`
	// Mode has the permission bits, with those for set-group-ID and sticky; nil is 0755 for a new
	// directory.
	Mode *uint32 `json:"mode"`
}

// permissions are the bits that Directory.Mode sets.
const permissions = 0o7777

// UnmarshalJSON implements json.Unmarshaler.
func (d *Directory) UnmarshalJSON(data []byte) error {
	*d = Directory{}
	if json.Unmarshal(data, &d.Path) == nil {
		return nil
	}
	type object Directory
	return json.Unmarshal(data, (*object)(d))
}

// makeIn makes the directory for the bundle in dir. An existing one gets the owner and the mode
// too, its content does not. One that has both is not changed, so its file system may be read-only.
func (d Directory) makeIn(dir string) error {
	target, err := openTarget(dir, d.Path)
	if err != nil {
		return err
	}
	defer target.Close()
	if err := d.own(target.Path()); err != nil {
		// Not the path of the descriptor, which tells the reader nothing.
		return &os.PathError{Op: "mkdir", Path: d.Path, Err: err}
	}
	return nil
}

// own sets the owner and the mode of an open directory.
func (d Directory) own(path string) error {
	var stat syscall.Stat_t
	if err := syscall.Stat(path, &stat); err != nil {
		return err
	}
	uid, gid := int(stat.Uid), int(stat.Gid)
	if d.UID != nil {
		uid = *d.UID
	}
	if d.GID != nil {
		gid = *d.GID
	}
	mode := stat.Mode & permissions
	if d.Mode != nil {
		mode = *d.Mode & permissions
	}
	if uid != int(stat.Uid) || gid != int(stat.Gid) {
		if err := syscall.Chown(path, uid, gid); err != nil {
			return err
		}
		// The kernel may have cleared bits.
		if err := syscall.Stat(path, &stat); err != nil {
			return err
		}
	}
	if mode == stat.Mode&permissions {
		return nil
	}
	return syscall.Chmod(path, mode)
}
