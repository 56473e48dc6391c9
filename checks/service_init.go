package checks

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// serviceManager returns that of the init that the guest has booted with. What
// process 1 is decides, where it can be told: more than one init may be installed.
func (s *System) serviceManager() (serviceManager, error) {
	switch init := s.initProgram(); {
	case s.bootedSystemd():
		return systemd{s}, nil
	case init == "runit":
		return runit{s}, nil
	case init == "s6-svscan":
		return s6{s}, nil
	case init == "dinit":
		return dinit{s}, nil
	case s.bootedOpenRC():
		return openRC{s}, nil
	case init == "busybox":
		return busybox{s}, nil
	case s.exists("/etc/init.d"):
		return sysvinit{s}, nil
	case init != "":
		return nil, errors.New(noInit + ": process 1 is " + init)
	}
	return nil, errors.New(noInit)
}

const noInit = "no init system (systemd, OpenRC, sysvinit, runit, s6, dinit, busybox init) in the guest"

// initProgram names the program that process 1 is; empty where that is not told.
// The name that the kernel has of it is asked only where its file cannot be seen:
// sysvinit's, busybox's and others' are all called init.
func (s *System) initProgram() string {
	if exe, err := fs.ReadLink(s.FS, "proc/1/exe"); err == nil {
		return path.Base(strings.TrimSuffix(exe, " (deleted)"))
	}
	comm, err := readStart(s.FS, "proc/1/comm", maxProcFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(comm))
}

// bootedSystemd tells whether systemd is the init of the running system. Just
// after the start it may not have made its folder yet.
func (s *System) bootedSystemd() bool {
	return s.exists("/run/systemd/system") || s.initProgram() == "systemd"
}

// bootedOpenRC tells whether OpenRC starts the services of the running system.
// Its own init may be process 1, or sysvinit's or busybox's.
func (s *System) bootedOpenRC() bool {
	switch s.initProgram() {
	case "runit", "s6-svscan", "dinit", "systemd", "finit":
		return false
	}
	return s.exists("/run/openrc") || s.exists("/sbin/openrc-run") || s.exists("/usr/sbin/openrc-run")
}

// processNamed returns the folder of a process that goes by one of the names;
// empty where there is none.
func (s *System) processNamed(names ...string) string {
	for _, pid := range s.entries("/proc") {
		if pid[0] < '0' || pid[0] > '9' {
			continue
		}
		for _, name := range namesOf(s.FS, "proc/"+pid) {
			for _, wanted := range names {
				if name == wanted {
					return "proc/" + pid
				}
			}
		}
	}
	return ""
}

// argsOf returns the arguments of the process of that folder.
func (s *System) argsOf(folder string) []string {
	cmdline, err := readStart(s.FS, folder+"/cmdline", maxProcFile)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
}

// plainService tells whether the name is that of one file in a folder, and no
// option of the tools that it is given to.
func plainService(name string) bool {
	return name != "" && name[0] != '.' && name[0] != '-' && !strings.ContainsAny(name, "/\x00")
}
