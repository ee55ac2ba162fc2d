package cloud

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

func readScaleway(ctx context.Context, s *session) error {
	text, err := s.get(ctx, "/conf")
	if err != nil {
		return err
	}
	conf := parseConf(string(text))
	if conf["ID"] == "" {
		return errOther
	}
	for name, key := range map[string]string{
		"hostname": "HOSTNAME", "instance_id": "ID", "instance_location": "LOCATION_ZONE_ID", "public_ip": "PUBLIC_IP_ADDRESS",
		"private_ip": "PRIVATE_IP",
	} {
		if value := conf[key]; value != "" {
			s.Set(name, value)
		}
	}
	count, _ := strconv.ParseUint(conf["SSH_PUBLIC_KEYS"], 10, 8)
	for i := range count {
		s.AddKeys(conf[fmt.Sprintf("SSH_PUBLIC_KEYS_%d_KEY", i)])
	}
	low := session{client: s.low, Metadata: s.Metadata}
	low.userData(ctx, "/user_data/cloud-init")
	return nil
}

// parseConf parses lines of KEY=value, where the value may be in quotes.
func parseConf(text string) map[string]string {
	conf := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		conf[key] = strings.Trim(value, `'"`)
	}
	return conf
}
