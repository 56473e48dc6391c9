package checks

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path"
	"strings"
	"time"
)

// A System is the machine that resources look at. Facts about it that cost a
// command or a walk are read once for all, and kept until Refresh or until they
// are a second old.
type System struct {
	// FS is the root file system; paths in it have no leading slash.
	FS fs.FS
	// Host is what whoever launched this machine knows of it.
	Host HostFacts
	// Told is when it got to know that, with a reading of the monotonic clock.
	Told time.Time
	// Dir is from where relative paths lead; empty is the root.
	Dir string
	// Exec runs a command to its end. It returns an error where the command
	// could not be started or did not end by itself; a non-zero exit is none.
	Exec func(ctx context.Context, cmd Command) (Output, error)
	// Interfaces lists the network interfaces; nil means this machine's.
	Interfaces func() ([]NetInterface, error)
	// Links lists the links with their addresses' states and their default
	// routes; nil means this machine's.
	Links func() ([]Link, error)
	// Usage tells how many percent of the file system at a path are in use; nil
	// means this machine's.
	Usage func(path string) (percent int, err error)
	// Clocks tell the time since the kernel's start, and that without what the
	// kernel slept; nil means this machine's.
	Clocks func() (boot, awake time.Duration, err error)

	services []string // those of the plan, which are asked for together

	facts  facts // until Refresh, or for a second
	events facts // for the whole run: what was done, such as an apt-get update
	came   moments
}

// A NetInterface is a network interface as the interface resource sees it.
type NetInterface struct {
	Name  string
	MTU   int
	Addrs []string // in CIDR notation
}

// A Command is what Exec runs.
type Command struct {
	Args []string // the program, looked up on PATH, and its arguments
	Env  []string // added to the environment, NAME=VALUE
	Dir  string
	User string // run as this user, where not empty
}

// An Output is what a command left.
type Output struct {
	ExitCode       int // 128+n where signal n ended it
	Stdout, Stderr []byte
	Truncated      bool // more was printed than is kept
}

// Local returns the machine that this program runs on.
func Local() *System {
	root := os.DirFS("/")
	return &System{
		FS: root,
		Exec: func(ctx context.Context, cmd Command) (Output, error) {
			return execute(ctx, root, cmd)
		},
		Interfaces: localInterfaces,
	}
}

// Refresh forgets the facts that were read, so that the next look is fresh.
func (s *System) Refresh() { s.facts.forget() }

// pathOf turns a path that a spec names into one of FS.
func (s *System) pathOf(name string) string {
	if !path.IsAbs(name) {
		name = path.Join(s.Dir, name)
	}
	return fsPath(name)
}

// fsPath turns a path of the guest into one of FS.
func fsPath(name string) string {
	p := strings.TrimPrefix(path.Clean("/"+name), "/")
	if p == "" {
		return "."
	}
	return p
}

func localInterfaces() ([]NetInterface, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	ifaces := make([]NetInterface, 0, len(list))
	for _, i := range list {
		addrs, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		one := NetInterface{Name: i.Name, MTU: i.MTU}
		for _, a := range addrs {
			one.Addrs = append(one.Addrs, a.String())
		}
		ifaces = append(ifaces, one)
	}
	return ifaces, nil
}
