package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Binds gives the config.json of a container with other sources of its binds: those that are in a directory which a container
// may change are bound below dir as they are now, so that the runtime finds them there and nowhere else. Release takes them away,
// when the container has been created.
//
// The runtime follows symbolic links, and a container may put one where another one binds, or it itself when it starts again: to
// the machine's root. So such a link is an error.
//
// What is read-only here is read-only there, whatever the options say: a bind has flags of its own, and so a config that says
// nothing would open the machine's root. Not for a container with CAP_SYS_ADMIN, which can change such flags itself.
func Binds(data []byte, dir string) (config []byte, release func(), err error) {
	var spec map[string]json.RawMessage
	var mounts []map[string]json.RawMessage
	var binds []struct {
		Source, Type string
		Options      []string
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, nil, err
	}
	if spec["mounts"] == nil {
		return data, func() {}, nil
	}
	if err := errors.Join(json.Unmarshal(spec["mounts"], &mounts), json.Unmarshal(spec["mounts"], &binds)); err != nil {
		return nil, nil, err
	}
	powerful, err := isPowerful(data)
	if err != nil {
		return nil, nil, err
	}
	var made []string
	release = func() {
		for _, target := range made {
			unbind(target)
		}
		_ = os.Remove(dir)
	}
	for i, bind := range binds {
		isBind := bind.Type == "bind" || slices.Contains(bind.Options, "bind") || slices.Contains(bind.Options, "rbind")
		if !isBind || !filepath.IsAbs(bind.Source) || strings.HasPrefix(dir+"/", filepath.Clean(bind.Source)+"/") {
			continue
		}
		target := filepath.Join(dir, strconv.Itoa(i))
		isMade, isWritable, err := pin(bind.Source, target)
		if err != nil {
			release()
			return nil, nil, fmt.Errorf("bind %s: %w", bind.Source, err)
		}
		if isMade {
			made = append(made, target)
			mounts[i]["source"], err = json.Marshal(target)
		}
		if !isWritable && !powerful && err == nil {
			mounts[i]["options"], err = json.Marshal(closed(bind.Options))
		}
		if err != nil {
			release()
			return nil, nil, err
		}
	}
	if spec["mounts"], err = json.Marshal(mounts); err == nil {
		config, err = json.Marshal(spec)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return config, release, nil
}

// closed are options of a bind that is read-only.
func closed(options []string) []string {
	return append(slices.DeleteFunc(slices.Clone(options), func(o string) bool { return o == "rw" }), "ro")
}

// pin binds what is at source to target, if others can change where that is, and says whether it may be written.
func pin(source, target string) (made, writable bool, err error) {
	found, err := find(source)
	if err != nil || found == nil {
		return false, true, err
	}
	defer syscall.Close(found.fd)
	if !found.changeable {
		return false, found.writable, nil
	}
	return true, found.writable, bindTo(target, found)
}

func bindTo(target string, found *found) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	var err error
	if found.isDir {
		err = os.Mkdir(target, 0o700)
	} else {
		err = os.WriteFile(target, nil, 0o600)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	// This name is of the file that is open, whatever there is at the path now.
	name := fmt.Sprintf("/proc/self/fd/%d", found.fd)
	return os.NewSyscallError("mount", syscall.Mount(name, target, "", syscall.MS_BIND|syscall.MS_REC, ""))
}

// unbind: what is mounted below a mount that is shared would go at its source as well.
func unbind(target string) {
	_ = syscall.Mount("", target, "", syscall.MS_PRIVATE|syscall.MS_REC, "")
	if err := syscall.Unmount(target, syscall.MNT_DETACH); err == nil {
		_ = os.Remove(target)
	}
}
