package main

import (
	"fmt"
	"os"
	"strings"

	"lkt/storage/disk"
	"lkt/storage/drive"
	"lkt/storage/table"
)

// extend does nothing where there is no room, so that a machine can ask at every boot. A partition that has grown without its file
// system, since the machine has stopped between the two, is not taken for done.
func extend(path, kind string) error {
	d, err := drive.Open(path)
	if err != nil {
		return err
	}
	defer d.File.Close()
	part, err := growPartition(d, kind)
	if err != nil {
		return err
	}
	// The partition cannot be mounted as long as the disk is open exclusively.
	if err := d.File.Close(); err != nil {
		return err
	}
	return growFilesystem(disk.Partition(path, part.Number), kind, part.Size)
}

func growPartition(d *drive.Drive, kind string) (table.Partition, error) {
	var none table.Partition
	sector, err := d.SectorSize()
	if err != nil {
		return none, err
	}
	t, err := table.Read(d.File, table.Disk{Size: d.Size, Sector: sector})
	if err != nil {
		return none, err
	}
	if len(t.Partitions) != 1 {
		return none, fmt.Errorf("%w: it has %d partitions, not one", errSkip, len(t.Partitions))
	}
	old := t.Partitions[0]
	path := disk.Partition(d.Path, old.Number)
	if !old.Linux {
		return none, fmt.Errorf("%s is no partition of Linux", path)
	}
	// Nothing is written before it is known that what is there can grow.
	if err := check(path, kind, old.Size); err != nil {
		return none, fmt.Errorf("%s: %w", path, err)
	}
	growth, grows, err := t.Grow()
	if err != nil || !grows {
		return old, err
	}
	if err := growth.Write(d.File); err != nil {
		return none, err
	}
	grown := growth.Partition
	if err := d.Resize(grown.Number, grown.Start, grown.Size); err != nil {
		return none, fmt.Errorf("the kernel does not take the new size of %s: %w", path, err)
	}
	if err := drive.Wait(path, grown.Size); err != nil {
		return none, err
	}
	say("%s has %d bytes instead of %d", path, grown.Size, old.Size)
	return grown, nil
}

func check(path, kind string, size int64) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	found, err := disk.Probe(file)
	if err != nil {
		return err
	}
	// One driver has all three.
	if found.Type != kind && !(kind == "ext4" && strings.HasPrefix(found.Type, "ext")) {
		return fmt.Errorf("it has %s, not %s", found, kind)
	}
	_, err = growers[kind].extent(file, size)
	return err
}
