package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lkt/dm-crypt/luks"
	"lkt/storage/disk"
	"lkt/storage/drive"
	"lkt/storage/mapper"
	"lkt/storage/reader"
	"lkt/storage/tool"
)

// waitTimeout is how long a device may take to appear.
const waitTimeout = 10 * time.Second

// plainCipher is LinuxKit's cipher: a device without a header does not record its own.
const plainCipher = "aes-cbc-essiv:sha256"

func openDrive(r request) (*drive.Drive, error) {
	if err := disk.WaitFor(r.device, waitTimeout); err != nil {
		return nil, err
	}
	return drive.Open(r.device)
}

// opener reads and unlocks a LUKS volume.
type opener func(device *os.File, secret []byte) (luks.Opened, error)

// describe returns the encryption of a device, and whether it is new and needs a file system. It
// creates a LUKS volume on an empty device.
func describe(p reader.Parser, r request, source *drive.Drive, secret []byte, open opener) (mapper.Crypt, bool, error) {
	empty := checkNew(p, source)
	if !r.luks {
		crypt := mapper.Crypt{Device: r.device, Cipher: plainCipher, Key: secret, UUID: "CRYPT-PLAIN-" + r.name}
		return crypt, empty == nil, nil
	}
	volume, err := open(source.File, secret)
	switch {
	case err == nil:
		empty = errors.New("it has a LUKS header")
	case !errors.Is(err, luks.ErrNotLUKS):
	case empty != nil:
		err = fmt.Errorf("%w, and %w", err, empty)
	default:
		report("creating a LUKS2 volume on %s", r.device)
		volume, err = luks.Create(source.File, source.Size, secret)
	}
	return mapper.Crypt{
		Device: r.device, Offset: volume.Offset / 512, Length: volume.Length / 512, Tweak: volume.Tweak,
		Cipher: volume.Encryption, SectorSize: volume.SectorSize, Key: volume.Key,
		UUID: "CRYPT-LUKS2-" + strings.ReplaceAll(volume.UUID, "-", "") + "-" + r.name,
	}, empty == nil, err
}

// checkNew returns an error unless the device is empty. A file system that was never used counts as
// empty: LinuxKit's examples format a partition before they encrypt it.
func checkNew(p reader.Parser, source *drive.Drive) error {
	err := source.CheckEmpty(p)
	if !errors.Is(err, drive.ErrNotEmpty) {
		return err
	}
	if unused, failure := p.IsUnusedExt4(source.File); failure == nil && unused {
		return nil
	}
	return err
}

// mapDevice creates the device, and a file system if it is new. It removes the device if there is
// no file system in the end.
func mapDevice(p reader.Parser, name string, crypt mapper.Crypt, fresh bool) error {
	target, err := crypt.Target()
	if err != nil {
		return err
	}
	path, err := mapper.Create(name, crypt.UUID, target)
	if err != nil {
		return err
	}
	if err := makeFilesystem(p, path, crypt.Device, fresh); err != nil {
		return errors.Join(err, mapper.Remove(name))
	}
	return nil
}

func makeFilesystem(p reader.Parser, path, source string, fresh bool) error {
	found, err := disk.ProbePath(p, path)
	switch {
	case err == nil:
		report("%s maps %s, with %s", path, source, found)
		return nil
	case !fresh && errors.Is(err, disk.ErrNone):
		return fmt.Errorf("%s has data, but no file system that this key opens", source)
	case !fresh:
		return fmt.Errorf("%s: %w", source, err)
	}
	report("%s maps %s, creating ext4", path, source)
	if err := tool.Run([]string{"/usr/sbin/mke2fs", "-t", "ext4", "-F", "-q", path}, path); err != nil {
		return err
	}
	return flush(path)
}

func flush(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}
