package lxdtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// A Daemon is an LXD server of a test's own, beside this machine's, which may be
// killed and started again. It has a bridge and a storage pool of its own.
type Daemon struct {
	Remote lxd.Remote

	t      testing.TB
	dir    string
	bridge string
	server *exec.Cmd
	pools  []string // folders that file systems are mounted on
}

// NewDaemon starts a server. When the test ends, all that is in it is deleted, and
// the test fails if that is an instance.
func NewDaemon(t testing.TB) *Daemon {
	t.Helper()
	if _, err := exec.LookPath("lxd"); err != nil {
		t.Fatalf("no LXD to start: %v; run .ci/setup", err)
	}
	dir, err := os.MkdirTemp("", "lxd-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{t: t, dir: dir, bridge: "ic" + strings.ToLower(rand.Text()[:8])}
	d.Remote = lxd.Remote{Name: "own", Addr: "unix://" + filepath.Join(dir, "unix.socket")}
	t.Cleanup(d.remove)
	d.Start()
	d.must("lxd", "init", "--preseed")
	return d
}

// must runs a program of LXD's, which works on this server.
func (d *Daemon) must(args ...string) {
	d.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "LXD_DIR="+d.dir)
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`
networks: [{name: %[1]s, type: bridge, config: {ipv4.address: 198.18.%[2]d.1/24, ipv4.nat: "false", ipv6.address: none}}]
storage_pools: [{name: default, driver: dir}]
profiles: [{name: default, devices: {root: {type: disk, path: /, pool: default}, eth0: {type: nic, name: eth0, network: %[1]s}}}]
`, d.bridge, d.bridge[len(d.bridge)-1])) // of a range that is for tests
	if out, err := cmd.CombinedOutput(); err != nil {
		log, _ := os.ReadFile(d.log())
		d.t.Fatalf("%s: %v: %s\n%s(run .ci/setup; it takes root)", strings.Join(args, " "), err, out, log)
	}
}

func (d *Daemon) log() string { return filepath.Join(d.dir, "lxd.log") }

// Start starts the server, which does not run, and waits until it answers.
func (d *Daemon) Start() {
	d.t.Helper()
	d.server = exec.Command("lxd", "--group", "root", "--logfile", d.log())
	d.server.Env = append(os.Environ(), "LXD_DIR="+d.dir)
	d.server.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := d.server.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.must("lxd", "waitready", "--timeout=60")
}

// Kill kills the server. Its guests live on.
func (d *Daemon) Kill() { d.end(syscall.SIGKILL) }

func (d *Daemon) end(sig os.Signal) {
	if d.server == nil {
		return
	}
	_ = d.server.Process.Signal(sig)
	_ = d.server.Wait() // it was killed
	d.server = nil
}

// Instances returns the names of all instances of the server.
func (d *Daemon) Instances() []string {
	d.t.Helper()
	var names []string
	all, err := d.Client().GetInstances(api.InstanceTypeAny)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names
}

// Client connects to the server.
func (d *Daemon) Client() client.InstanceServer {
	d.t.Helper()
	c, err := client.ConnectLXDUnix(filepath.Join(d.dir, "unix.socket"), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// SmallPool makes a storage pool of so many bytes, and returns its name.
func (d *Daemon) SmallPool(size int) string {
	d.t.Helper()
	const name = "small"
	path, err := os.MkdirTemp("", "pool-")
	if err == nil {
		d.pools = append(d.pools, path)
		err = exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", size), "none", path).Run()
	}
	if err == nil {
		err = d.Client().CreateStoragePool(api.StoragePoolsPost{Name: name, Driver: "dir",
			StoragePoolPut: api.StoragePoolPut{Config: map[string]string{"source": path}}})
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return name
}

// FillPool fills the small pool.
func (d *Daemon) FillPool(t testing.TB) {
	t.Helper()
	f, err := os.Create(filepath.Join(d.pools[0], "fill"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 64<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// remove deletes all that is in the server, and the server.
func (d *Daemon) remove() {
	if d.server == nil {
		d.Start()
	}
	all := &Project{Server: d.Client()}
	for _, left := range all.clear() {
		d.t.Error(left)
	}
	_ = all.Server.UpdateProfile("default", api.ProfilePut{}, "") // what is left shows in the next one
	err := all.Server.DeleteNetwork(d.bridge)
	d.end(syscall.SIGTERM)
	d.unmount()
	for _, dir := range append(d.pools, d.dir) {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		d.t.Errorf("remove the LXD server %s: %v", d.dir, err)
	}
}

// unmount unmounts what the server, which may have been killed, has left. What stays
// shows when its folder is removed.
func (d *Daemon) unmount() {
	table, err := os.ReadFile("/proc/mounts")
	if err != nil {
		d.t.Error(err)
	}
	for line := range strings.Lines(string(table)) {
		at := strings.Fields(line)[1]
		if strings.HasPrefix(at, d.dir+"/") || slices.Contains(d.pools, at) {
			_ = exec.Command("umount", "--lazy", at).Run()
		}
	}
}
