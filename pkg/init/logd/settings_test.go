package logd

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLoadSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs.conf")
	text := "# bounds\nsize = 256K\n\n total=4m\nsyslog = udp://192.0.2.1\nconsole = all\nrate = 64K\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, problems := loadSettings(path, "console=ttyS0 lkt.logs.syslog=tcp://[2001:db8::1]:6514 lkt.logs.console=failures")
	want := Settings{256 << 10, 4 << 20, 64 << 10, ConsoleFailures, "tcp", "[2001:db8::1]:6514"}
	if s != want || len(problems) != 0 {
		t.Errorf("%+v %v", s, problems)
	}
	if s, problems := loadSettings(path+".none", ""); s != defaults() || len(problems) != 0 {
		t.Errorf("%+v %v", s, problems)
	}
}

func TestLoadSettingsReportsAndSkipsInvalid(t *testing.T) {
	for _, word := range []string{
		"size=", "size=-1", "size=1", "size=1G", "size=99999999999M", "size=x", "total=0", "rate=1", "console=some", "color=red",
		"syslog=host", "syslog=tls://host", "syslog=udp://", "syslog=udp://host:0", "syslog=udp://host:99999", "syslog=udp://host:x",
	} {
		s, problems := loadSettings("/nonexistent/logs.conf", "lkt.logs."+word)
		if s != defaults() || len(problems) != 1 {
			t.Errorf("%s: %+v %v", word, s, problems)
		}
	}
}

func TestSetSyslogDefaultPorts(t *testing.T) {
	for value, want := range map[string]string{
		"udp://host": "host:514", "tcp://host": "host:601", "tcp://192.0.2.1:99": "192.0.2.1:99", "udp://[2001:db8::1]": "[2001:db8::1]:514",
	} {
		var s Settings
		if err := s.setSyslog(value); err != nil || s.Address != want {
			t.Errorf("%s: %s %v", value, s.Address, err)
		}
	}
}

func TestShowsOutput(t *testing.T) {
	for console, want := range map[string][3]bool{"all": {true, true, true}, "onboot": {true, true, false}, "failures": {}} {
		s, problems := loadSettings("/nonexistent/logs.conf", "lkt.logs.console="+console)
		got := [3]bool{s.ShowsOutput("onboot.000-dhcp"), s.ShowsOutput("onshutdown.000-save"), s.ShowsOutput("onboot")}
		if got != want || len(problems) != 0 {
			t.Errorf("%s: %v %v", console, got, problems)
		}
	}
	if !defaults().ShowsOutput("onboot.000-dhcp") {
		t.Error("the output of onboot containers is not shown by default")
	}
}
