package crypt

import (
	"os/exec"
	"strings"
	"testing"
)

// Vectors of Ulrich Drepper's specification.
func TestMatchesVectors(t *testing.T) {
	for field, password := range map[string]string{
		"$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5":                                                               "Hello world!",
		"$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA":                                            "Hello world!",
		"$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.": "Hello world!",
		"$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1":  "a very much longer text to encrypt.  This one even stretches over morethan one line.",
	} {
		h, err := Parse(field)
		if err != nil {
			t.Errorf("%s: %v", field, err)
			continue
		}
		if !h.Matches(password) {
			t.Errorf("%s: no match", field)
		}
		if h.Matches(password + "x") {
			t.Errorf("%s: another password matches", field)
		}
	}
}

func TestMatchesHashesOfOpenssl(t *testing.T) {
	for _, form := range []string{"-5", "-6"} {
		for _, password := range []string{"a", strings.Repeat("p", 32), strings.Repeat("q", 64), strings.Repeat("long ", 40)} {
			out, err := exec.Command("openssl", "passwd", form, "-salt", "s.alt/", password).Output()
			if err != nil {
				t.Fatal(err)
			}
			h, err := Parse(strings.TrimSpace(string(out)))
			if err != nil || !h.Matches(password) {
				t.Errorf("%s %q: %v", out, password, err)
			}
		}
	}
}

func TestParseRejects(t *testing.T) {
	for _, field := range []string{
		"", "*", "!", "$1$salt$qJH7.N4xYta3aEG/dfqo/0", "$y$j9T$x$y", "$6$salt$short", "$6$" + strings.Repeat("s", 17) + "$" + strings.Repeat("a", 86),
		"$6$rounds=999$s$" + strings.Repeat("a", 86), "$6$rounds=99999999$s$" + strings.Repeat("a", 86), "$6$s$" + strings.Repeat("a", 85) + "!",
	} {
		if h, err := Parse(field); err == nil {
			t.Errorf("%q: %+v", field, h)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("$5$rounds=1000$s$"+strings.Repeat("a", 43), "password")
	f.Fuzz(func(t *testing.T, field, password string) {
		h, err := Parse(field)
		if err == nil && h.rounds == minRounds && len(password) < 100 {
			h.Matches(password)
		}
	})
}
