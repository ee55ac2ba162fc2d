package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

const (
	defaultAddress = "169.254.169.254"
	// Amazon's paths, which other providers have too.
	ec2Values   = "/latest/meta-data/"
	ec2UserData = "/latest/user-data"
)

var providers = map[string]provider{
	"aws": {label: "AWS", address: defaultAddress, read: readAWS},
	"azure": {
		label: "Azure", address: defaultAddress, read: readAzure,
		header: http.Header{"Metadata": {"true"}},
	},
	"digitalocean": {label: "DigitalOcean", address: defaultAddress, read: readDigitalOcean},
	"gcp": {
		label: "GCP", address: defaultAddress, host: "metadata.google.internal", read: readGCP,
		header: http.Header{"Metadata-Flavor": {"Google"}},
	},
	"hetzner":   {label: "Hetzner", address: defaultAddress, read: readHetzner},
	"openstack": {label: "openstack", address: defaultAddress, read: readOpenStack},
	"scaleway":  {label: "Scaleway", address: "169.254.42.42", read: readScaleway},
	"vultr":     {label: "Vultr", address: defaultAddress, read: readVultr},
}

var ec2Files = map[string]string{
	"public_ipv4": "public-ipv4", "local_ipv4": "local-ipv4", "availability_zone": "placement/availability-zone",
	"instance_type": "instance-type", "instance_id": "instance-id", "local_hostname": "local-hostname",
}

func readAWS(ctx context.Context, s *session) error {
	// IMDSv2 requires a token. It protects against request forgery through this machine.
	token, err := s.client.Put(ctx, "/latest/api/token", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300")
	if err == nil && len(token) < 1024 && !strings.ContainsFunc(string(token), func(r rune) bool { return r <= ' ' || r > '~' }) {
		s.header.Set("X-Aws-Ec2-Metadata-Token", string(token))
	}
	return s.readEC2(ctx)
}

func readOpenStack(ctx context.Context, s *session) error {
	if _, err := s.get(ctx, "/openstack/latest/meta_data.json"); err != nil {
		return err
	}
	return s.readEC2(ctx)
}

func (s *session) readEC2(ctx context.Context) error {
	name, err := s.get(ctx, ec2Values+"hostname")
	if err != nil {
		return err
	}
	s.Set("hostname", string(name))
	s.values(ctx, ec2Values, ec2Files)
	s.ec2Keys(ctx)
	s.userData(ctx, ec2UserData)
	return nil
}

// ec2Keys reads the SSH keys. They are listed as "0=name", and each has a directory.
func (s *session) ec2Keys(ctx context.Context) {
	const maxKeys = 16
	list, err := s.get(ctx, ec2Values+"public-keys/")
	if err != nil {
		s.skip("ssh keys", err)
		return
	}
	for i, line := range strings.Split(string(list), "\n") {
		number, _, _ := strings.Cut(line, "=")
		if n, err := strconv.ParseUint(number, 10, 16); err == nil && i < maxKeys {
			s.keys(ctx, fmt.Sprintf("%spublic-keys/%d/openssh-key", ec2Values, n))
		}
	}
}

func readHetzner(ctx context.Context, s *session) error {
	name, err := s.get(ctx, "/hetzner/v1/metadata/hostname")
	if err != nil {
		return err
	}
	s.Set("hostname", string(name))
	s.values(ctx, ec2Values, map[string]string{
		"public_ipv4": "public-ipv4", "local_ipv4": "local-ipv4", "instance_id": "instance-id",
	})
	text, err := s.get(ctx, ec2Values+"public-keys")
	var keys []string
	if err == nil {
		err = json.Unmarshal(text, &keys)
	}
	if err != nil {
		s.skip("ssh keys", err)
	}
	for _, key := range keys {
		s.AddKeys(key)
	}
	s.userData(ctx, ec2UserData)
	return nil
}

func readDigitalOcean(ctx context.Context, s *session) error {
	const base = "/metadata/v1/"
	name, err := s.get(ctx, base+"hostname")
	if err != nil {
		return err
	}
	s.Set("hostname", string(name))
	s.values(ctx, base, map[string]string{
		"public_ipv4": "interfaces/public/0/ipv4/address", "private_ipv4": "interfaces/private/0/ipv4/address",
		"region": "region", "id": "id",
	})
	s.keys(ctx, base+"public-keys")
	s.userData(ctx, base+"user-data")
	return nil
}

func readVultr(ctx context.Context, s *session) error {
	const base = "/v1/"
	name, err := s.get(ctx, base+"hostname")
	if err != nil {
		return err
	}
	s.Set("hostname", string(name))
	s.values(ctx, base, map[string]string{
		"public_ipv4": "interfaces/0/ipv4/address", "private_ipv4": "interfaces/1/ipv4/address",
		"private_netmask": "interfaces/1/ipv4/netmask", "region_code": "region/regioncode", "instance_id": "instanceid",
	})
	s.keys(ctx, base+"public-keys")
	return nil
}

func readGCP(ctx context.Context, s *session) error {
	const base = "/computeMetadata/v1/"
	name, header, err := s.client.Get(ctx, base+"instance/hostname")
	if err != nil {
		return err
	}
	if header.Get("Metadata-Flavor") != "Google" {
		return errOther
	}
	s.Set("hostname", string(name))
	s.values(ctx, base, map[string]string{"instance_id": "instance/id"})
	scopes := []string{"instance", "project"}
	if blocked, err := s.get(ctx, base+"instance/attributes/block-project-ssh-keys"); err == nil && strings.EqualFold(string(blocked), "true") {
		scopes = scopes[:1]
	}
	for _, scope := range scopes {
		text, err := s.get(ctx, base+scope+"/attributes/ssh-keys")
		if err != nil {
			s.skip("ssh keys", err)
			continue
		}
		s.AddKeys(withoutUsers(string(text)))
	}
	s.userData(ctx, base+"instance/attributes/user-data")
	return nil
}

// withoutUsers strips the user from lines "user:key": as in LinuxKit, all keys are for root.
func withoutUsers(text string) string {
	var keys strings.Builder
	for line := range strings.Lines(text) {
		if _, key, found := strings.Cut(line, ":"); found {
			keys.WriteString(strings.TrimSpace(key) + "\n")
		}
	}
	return keys.String()
}
