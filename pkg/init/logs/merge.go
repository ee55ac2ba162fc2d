package logs

// Merge calls visit for the lines of several logs in the order of their times. It stops at the
// first error of visit.
func Merge(cursors []*Cursor, visit func(Entry) error) error {
	type head struct {
		entry Entry
		from  *Cursor
	}
	var heads []head
	for _, c := range cursors {
		if entry, found := c.Next(); found {
			heads = append(heads, head{entry, c})
		}
	}
	for len(heads) > 0 {
		first := 0
		for i := range heads {
			if heads[i].entry.Time.Before(heads[first].entry.Time) {
				first = i
			}
		}
		if err := visit(heads[first].entry); err != nil {
			return err
		}
		entry, found := heads[first].from.Next()
		if found {
			heads[first].entry = entry
		} else {
			heads = append(heads[:first], heads[first+1:]...)
		}
	}
	return nil
}
