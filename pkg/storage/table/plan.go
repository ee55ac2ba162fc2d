package table

import (
	"errors"
	"fmt"
	"io"
)

// Plan has the partitions of a disk and, if there is one that can grow, how it grows.
type Plan struct {
	Partitions []Partition
	Growth     *Growth
}

// MakePlan reads a partition table. The disk is untrusted.
func MakePlan(device io.ReaderAt, disk Disk) (Plan, error) {
	t, err := Read(device, disk)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Partitions: t.Partitions}
	if len(t.Partitions) == 1 {
		if growth, grows, err := t.Grow(); err != nil {
			return Plan{}, err
		} else if grows {
			plan.Growth = &growth
		}
	}
	return plan, nil
}

const (
	maxPartitions = maxEntries / entrySize
	maxAreas      = 5
)

// Check returns an error if the partitions are not within the disk, or if the growth would write to
// a partition or shrink it.
func (p Plan) Check(disk Disk) error {
	if err := disk.check(); err != nil {
		return err
	}
	if len(p.Partitions) > maxPartitions {
		return fmt.Errorf("%d partitions", len(p.Partitions))
	}
	for _, one := range p.Partitions {
		if err := one.check(disk); err != nil {
			return err
		}
	}
	if p.Growth == nil {
		return nil
	}
	if len(p.Partitions) != 1 || len(p.Growth.Areas) > maxAreas {
		return errors.New("growth of several partitions, or in too many areas")
	}
	old, grown := p.Partitions[0], p.Growth.Partition
	if err := grown.check(disk); err != nil {
		return err
	}
	if grown.Number != old.Number || grown.Start != old.Start || grown.Size <= old.Size {
		return fmt.Errorf("partition %d of %d bytes from %d grows to partition %d of %d bytes from %d",
			old.Number, old.Size, old.Start, grown.Number, grown.Size, grown.Start)
	}
	for _, area := range p.Growth.Areas {
		length := int64(len(area.Bytes))
		before := area.At >= 0 && area.At <= grown.Start-length
		after := area.At >= grown.Start+grown.Size && area.At <= disk.Size-length
		if !before && !after {
			return fmt.Errorf("%d bytes of the table at %d are outside the disk or in the partition", length, area.At)
		}
	}
	return nil
}

func (p Partition) check(disk Disk) error {
	if p.Number < 1 || p.Number > maxPartitions || p.Start < disk.Sector || p.Size < disk.Sector || p.Start > disk.Size-p.Size ||
		p.Start%disk.Sector != 0 || p.Size%disk.Sector != 0 {
		return fmt.Errorf("partition %d of %d bytes from %d is outside the disk of %d bytes", p.Number, p.Size, p.Start, disk.Size)
	}
	return nil
}
