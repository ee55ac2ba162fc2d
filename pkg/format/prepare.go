package main

import (
	"crypto/rand"
	"fmt"

	"lkt/storage/disk"
	"lkt/storage/drive"
	"lkt/storage/table"
	"lkt/storage/tool"
)

// prepare writes the partition table and creates the file system.
func prepare(d *drive.Drive, r request) error {
	defer d.File.Close()
	sector, err := d.SectorSize()
	if err != nil {
		return err
	}
	var id table.Identity
	for _, random := range [][]byte{id.Disk[:], id.Partition[:]} {
		if _, err := rand.Read(random); err != nil {
			return err
		}
	}
	layout, err := table.Make(r.table, table.Disk{Size: d.Size, Sector: sector}, id)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Path, err)
	}
	report("formatting %s: one partition with %s", d.Path, r)
	if err := layout.Write(d.File, d.Size); err != nil {
		return err
	}
	if err := d.Announce(layout.Start, layout.Size); err != nil {
		return fmt.Errorf("%s: the kernel rejects the new partition: %w", d.Path, err)
	}
	partition := disk.Partition(d.Path, 1)
	if err := drive.Wait(partition, layout.Size); err != nil {
		return err
	}
	// The partition cannot be opened exclusively while the disk is open.
	if err := d.File.Close(); err != nil {
		return err
	}
	only := ""
	if makers[r.kind].unprivileged {
		only = partition
	}
	if err := tool.Run(r.command(partition), only); err != nil {
		return err
	}
	report("%s has %s", partition, r)
	return nil
}
