package main

import (
	"fmt"
	"os"
	"strings"

	"lkt/storage/disk"
	"lkt/storage/drive"
	"lkt/storage/reader"
	"lkt/storage/table"
)

// extend grows the partition and its file system. It does nothing if there is no room, so that it
// may run at every boot. If the machine stopped between the two steps, it grows the file system
// alone.
func extend(p reader.Parser, path, kind string) error {
	d, err := drive.Open(path)
	if err != nil {
		return err
	}
	defer d.File.Close()
	part, err := growPartition(p, d, kind)
	if err != nil {
		return err
	}
	// The partition cannot be mounted while the disk is open exclusively.
	if err := d.File.Close(); err != nil {
		return err
	}
	return growFilesystem(p, disk.Partition(path, part.Number), kind, part.Size)
}

func growPartition(p reader.Parser, d *drive.Drive, kind string) (table.Partition, error) {
	var none table.Partition
	sector, err := d.SectorSize()
	if err != nil {
		return none, err
	}
	plan, err := p.Plan(d.File, table.Disk{Size: d.Size, Sector: sector})
	if err != nil {
		return none, err
	}
	if len(plan.Partitions) != 1 {
		return none, fmt.Errorf("%w: it has %d partitions, expected one", errSkip, len(plan.Partitions))
	}
	old := plan.Partitions[0]
	path := disk.Partition(d.Path, old.Number)
	if !old.Linux {
		return none, fmt.Errorf("%s is not a Linux partition", path)
	}
	// Check the file system before writing anything.
	if err := check(p, path, kind, old.Size); err != nil {
		return none, fmt.Errorf("%s: %w", path, err)
	}
	if plan.Growth == nil {
		return old, nil
	}
	if err := plan.Growth.Write(d.File); err != nil {
		return none, err
	}
	grown := plan.Growth.Partition
	if err := d.Resize(grown.Number, grown.Start, grown.Size); err != nil {
		return none, fmt.Errorf("the kernel rejects the new size of %s: %w", path, err)
	}
	if err := drive.Wait(path, grown.Size); err != nil {
		return none, err
	}
	report("%s has %d bytes instead of %d", path, grown.Size, old.Size)
	return grown, nil
}

func check(p reader.Parser, path, kind string, size int64) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	found, err := p.Filesystem(file)
	if err != nil {
		return err
	}
	// The ext4 driver handles ext2 and ext3 too.
	if found.Type != kind && !(kind == "ext4" && strings.HasPrefix(found.Type, "ext")) {
		return fmt.Errorf("it has %s, expected %s", found, kind)
	}
	_, err = p.Extent(file, kind, size)
	return err
}
