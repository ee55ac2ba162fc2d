package confine

import (
	"encoding/json"
	"testing"
)

func TestConfigLimitsMemoryAndTasks(t *testing.T) {
	before := defaultMemoryLimit
	defer func() { defaultMemoryLimit = before }()
	defaultMemoryLimit = func() uint64 { return 100 }
	for linux, want := range map[string]string{
		`{}`: `{"memory":{"limit":100},"pids":{"limit":2048}}`,
		`{"resources": {"memory": {"limit": 9}}}`:       `{"memory":{"limit":9},"pids":{"limit":2048}}`,
		`{"resources": {"memory": {"limit": -1}}}`:      `{"memory":{"limit":-1},"pids":{"limit":2048}}`,
		`{"resources": {"memory": {"reservation": 5}}}`: `{"memory":{"limit":100,"reservation":5},"pids":{"limit":2048}}`,
		`{"resources": {"memory": null}}`:               `{"memory":{"limit":100},"pids":{"limit":2048}}`,
		`{"resources": {"memory": {"limit": null}}}`:    `{"memory":{"limit":100},"pids":{"limit":2048}}`,
		`{"resources": {"pids": {"limit": 64}}}`:        `{"memory":{"limit":100},"pids":{"limit":64}}`,
		`{"resources": {"pids": null}}`:                 `{"memory":{"limit":100},"pids":{"limit":2048}}`,
	} {
		data, err := Config([]byte(`{"linux": ` + linux + `}`))
		if err != nil {
			t.Fatal(err)
		}
		var spec struct {
			Linux struct{ Resources json.RawMessage }
		}
		if err := json.Unmarshal(data, &spec); err != nil {
			t.Fatal(err)
		}
		if got := string(spec.Linux.Resources); got != want {
			t.Errorf("%s: %s", linux, got)
		}
	}
}

func TestDefaultMemoryLimitLeavesRoom(t *testing.T) {
	if limit := defaultMemoryLimit(); limit == 0 || limit%4096 != 0 {
		t.Error(limit)
	}
}
