package cloud

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// azureInstance is the first version of the service with user data.
const azureInstance = "/metadata/instance?api-version=2021-01-01&format=json"

// azureMachine is an answer of Azure's instance metadata service.
type azureMachine struct {
	Compute struct {
		Location, Name, UserData, VMID, VMSize, Zone string
		OSProfile                                    struct{ ComputerName string }
		PublicKeys                                   []struct{ KeyData string }
	}
	Network struct {
		Interface []struct {
			IPv4 struct {
				IPAddress []struct{ PrivateIPAddress, PublicIPAddress string }
			}
		}
	}
}

func readAzure(ctx context.Context, s *session) error {
	text, err := s.get(ctx, azureInstance)
	if err != nil {
		return err
	}
	var m azureMachine
	if err := json.Unmarshal(text, &m); err != nil || m.Compute.VMID == "" {
		return errOther
	}
	c := m.Compute
	name := c.OSProfile.ComputerName
	if name == "" {
		// Names of a scale set's nodes have an underscore, which host names may not.
		name = strings.ReplaceAll(c.Name, "_", "-")
	}
	values := map[string]string{
		"hostname": name, "instance_id": c.VMID, "instance_type": c.VMSize, "region": c.Location, "availability_zone": c.Zone,
	}
	if all := m.Network.Interface; len(all) > 0 && len(all[0].IPv4.IPAddress) > 0 {
		first := all[0].IPv4.IPAddress[0]
		values["local_ipv4"], values["public_ipv4"] = first.PrivateIPAddress, first.PublicIPAddress
	}
	for name, value := range values {
		if value != "" {
			s.Set(name, value)
		}
	}
	for _, key := range c.PublicKeys {
		s.AddKeys(key.KeyData)
	}
	if c.UserData == "" {
		return nil
	}
	if s.UserData, err = base64.StdEncoding.DecodeString(c.UserData); err != nil {
		s.UserData = nil
		s.Problem(fmt.Errorf("userdata: %w", err))
	}
	return nil
}
