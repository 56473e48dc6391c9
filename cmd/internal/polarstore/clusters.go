package polarstore

import (
	"context"
	"crypto/tls"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// A Secret is text that is not for logs: printing it shows three stars.
type Secret string

func (Secret) String() string       { return "***" }
func (Secret) GoString() string     { return "***" }
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// A Cluster is an LXD or Incus server that versions are tested on, and what
// identifies the tester there. Without a certificate testers use their own.
type Cluster struct {
	ID          int64
	Name        string
	Type        string // lxd, incus
	Arch        string
	Endpoint    string // https://host:port; for testers on its machine unix:, or unix:/path
	State       string // healthy, unless AddCluster was told another
	Certificate string // PEM
	PrivateKey  Secret // PEM
}

// AddCluster adds a cluster.
func (s *Store) AddCluster(ctx context.Context, c Cluster) (Cluster, error) {
	if c.State == "" {
		c.State = "healthy"
	}
	if err := checkCluster(c); err != nil {
		return Cluster{}, err
	}
	err := s.update(ctx, func(tx *sql.Tx) error {
		// Those that are there must open with the key, or there would be two.
		if _, err := s.clusters(ctx, tx); err != nil {
			return err
		}
		credential, err := s.sealCredential(c)
		if err != nil {
			return err
		}
		err = tx.QueryRowContext(ctx, `INSERT INTO clusters (name, type, arch, endpoint, state, credential)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING RETURNING id`,
			c.Name, c.Type, c.Arch, c.Endpoint, c.State, credential).Scan(&c.ID)
		if errors.Is(err, sql.ErrNoRows) {
			return &RefusedError{"cluster " + c.Name + " exists already"}
		}
		return err
	})
	if err != nil {
		return Cluster{}, fmt.Errorf("add cluster: %w", err)
	}
	return c, nil
}

func checkCluster(c Cluster) error {
	wrong := InvalidError{}
	if c.Name == "" || !printable(c.Name) {
		wrong["name"] = Invalid
	}
	if c.Type != "lxd" && c.Type != "incus" {
		wrong["type"] = "must be lxd or incus"
	}
	if c.Arch != "amd64" && c.Arch != "arm64" {
		wrong["arch"] = "must be amd64 or arm64"
	}
	if !isEndpoint(c.Endpoint) {
		wrong["endpoint"] = "must be https://host:port, unix: or unix:/path"
	}
	if c.Certificate != "" || c.PrivateKey != "" {
		if _, err := tls.X509KeyPair([]byte(c.Certificate), []byte(c.PrivateKey)); err != nil {
			wrong["certificate"] = "and private key are no PEM pair"
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

func isEndpoint(endpoint string) bool {
	if socket, ok := strings.CutPrefix(endpoint, "unix:"); ok {
		return socket == "" || strings.HasPrefix(socket, "/")
	}
	u, err := url.Parse(endpoint)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
}

// Clusters returns all clusters, in the order in which they were added.
func (s *Store) Clusters(ctx context.Context) ([]Cluster, error) {
	all, err := s.clusters(ctx, s.read)
	if err != nil {
		return nil, fmt.Errorf("list clusters: %w", err)
	}
	return all, nil
}

func (s *Store) clusters(ctx context.Context, q querier) ([]Cluster, error) {
	var credentials [][]byte
	scan := func(scan func(...any) error) (c Cluster, err error) {
		var credential []byte
		err = scan(&c.ID, &c.Name, &c.Type, &c.Arch, &c.Endpoint, &c.State, &credential)
		credentials = append(credentials, credential)
		return c, err
	}
	all, err := list(ctx, q, scan, "SELECT id, name, type, arch, endpoint, state, credential FROM clusters ORDER BY id")
	if err != nil || len(all) == 0 {
		return all, err
	}
	with, err := s.sealer()
	if err != nil {
		var names []string
		for _, c := range all {
			names = append(names, c.Name)
		}
		return nil, fmt.Errorf("credentials of %s: %w", strings.Join(names, ", "), err)
	}
	for i := range all {
		text, err := with.open(credentials[i], credentialOf(all[i].Name))
		if err != nil {
			err = &KeyError{s.keyFile, "is not the one that it was encrypted with"}
		} else {
			err = decodeCredential(text, &all[i])
		}
		if err != nil {
			return nil, fmt.Errorf("credential of %s: %w", all[i].Name, err)
		}
	}
	return all, nil
}

// RemoveCluster removes a cluster. What was found out on it stays.
func (s *Store) RemoveCluster(ctx context.Context, name string) error {
	return s.remove(ctx, "cluster", "DELETE FROM clusters WHERE name = ?", name)
}

// SetClusterState notes how a cluster is: testers are told of healthy ones only.
func (s *Store) SetClusterState(ctx context.Context, name, state string) error {
	if state != "healthy" && state != "unhealthy" {
		return InvalidError{"state": "must be healthy or unhealthy"}
	}
	return s.update(ctx, func(tx *sql.Tx) error {
		var id int64
		err := tx.QueryRowContext(ctx, "UPDATE clusters SET state = ? WHERE name = ? RETURNING id", state, name).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return &NotFoundError{"cluster", name}
		}
		if err != nil {
			return fmt.Errorf("set state of cluster %s: %w", name, err)
		}
		return nil
	})
}

// A credential is a cluster's secrets in one value, which is encrypted.
type credential struct {
	Certificate string `json:"certificate"`
	PrivateKey  string `json:"private_key"`
}

// credentialOf is what the credential of the cluster is bound to: a name is taken
// once, and stays.
func credentialOf(name string) string { return "credential of cluster " + name }

func (s *Store) sealCredential(c Cluster) ([]byte, error) {
	text, err := json.Marshal(credential{c.Certificate, string(c.PrivateKey)})
	if err != nil {
		return nil, err
	}
	with, err := s.sealer()
	if err != nil {
		return nil, err
	}
	return with.seal(text, credentialOf(c.Name)), nil
}

func decodeCredential(data []byte, c *Cluster) error {
	var cred credential
	if err := json.Unmarshal(data, &cred); err != nil {
		return err
	}
	c.Certificate, c.PrivateKey = cred.Certificate, Secret(cred.PrivateKey)
	return nil
}
