package table

import "testing"

func TestPlanOfTablesIsValid(t *testing.T) {
	for _, kind := range []string{"dos", "gpt"} {
		for _, sector := range []int64{512, 4096} {
			disk := Disk{20*mib + sector, sector}
			plan, err := MakePlan(device(t, kind, sector, 8*mib, disk.Size), disk)
			if err != nil || plan.Growth == nil || plan.Check(disk) != nil {
				t.Errorf("%s, sectors of %d: %+v, %v, %v", kind, sector, plan.Partitions, err, plan.Check(disk))
			}
			full, err := MakePlan(device(t, kind, sector, disk.Size, disk.Size), disk)
			if err != nil || full.Growth != nil || len(full.Partitions) != 1 || full.Check(disk) != nil {
				t.Errorf("%s, sectors of %d: %+v, %v", kind, sector, full, err)
			}
		}
	}
}

func TestCheckRejectsInvalidPlans(t *testing.T) {
	disk := Disk{20 * mib, 512}
	valid := func() Plan {
		return Plan{
			Partitions: []Partition{{1, mib, 4 * mib, true}},
			Growth:     &Growth{Partition{1, mib, 18 * mib, true}, []Area{{0, make([]byte, 512)}, {19 * mib, make([]byte, mib)}}},
		}
	}
	if err := valid().Check(disk); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Plan){
		"partition beyond the end":  func(p *Plan) { p.Partitions[0].Size = 20 * mib },
		"partition over the table":  func(p *Plan) { p.Partitions[0].Start = 0 },
		"negative size":             func(p *Plan) { p.Partitions[0].Size = -512 },
		"overflow":                  func(p *Plan) { p.Partitions[0].Start = 1<<63 - 512 },
		"part of a sector":          func(p *Plan) { p.Partitions[0].Size++ },
		"no number":                 func(p *Plan) { p.Partitions[0].Number = 0 },
		"two partitions":            func(p *Plan) { p.Partitions = append(p.Partitions, Partition{2, 6 * mib, mib, true}) },
		"no partition":              func(p *Plan) { p.Partitions = nil },
		"another partition":         func(p *Plan) { p.Growth.Partition.Number = 2 },
		"another start":             func(p *Plan) { p.Growth.Partition.Start -= 512 },
		"shrinks":                   func(p *Plan) { p.Growth.Partition.Size = mib },
		"grows beyond the end":      func(p *Plan) { p.Growth.Partition.Size = 20 * mib },
		"writes to the partition":   func(p *Plan) { p.Growth.Areas[0].At = mib },
		"writes into the partition": func(p *Plan) { p.Growth.Areas[0].At = mib - 1 },
		"writes before the disk":    func(p *Plan) { p.Growth.Areas[0].At = -1 },
		"writes beyond the disk":    func(p *Plan) { p.Growth.Areas[1].At = 20*mib - 1 },
		"many areas":                func(p *Plan) { p.Growth.Areas = make([]Area, 6) },
	} {
		plan := valid()
		change(&plan)
		if plan.Check(disk) == nil {
			t.Errorf("%s: %+v", name, plan)
		}
	}
}
