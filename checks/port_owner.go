package checks

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// portsOf returns the ports that processes of that name listen on, as the port
// resource names them. Of processes whose files may not be looked at there are none.
func portsOf(ctx context.Context, sys *System, process string) []string {
	sockets := listeningSockets(sys.FS)
	var ports []string
	for _, pid := range sys.entries("/proc") {
		if _, err := strconv.Atoi(pid); err != nil || ctx.Err() != nil {
			continue
		}
		dir := "proc/" + pid
		if !slices.Contains(namesOf(sys.FS, dir), process) {
			continue
		}
		for _, fd := range sys.entries("/" + dir + "/fd") {
			if link, err := fs.ReadLink(sys.FS, dir+"/fd/"+fd); err == nil && sockets[link] != "" {
				ports = append(ports, sockets[link])
			}
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// listeningSockets returns ports such as tcp:22 by the socket, which is named as
// links to it are.
func listeningSockets(root fs.FS) map[string]string {
	sockets := make(map[string]string)
	for _, network := range []string{"tcp", "tcp6", "udp", "udp6"} {
		table, err := readBounded(root, "proc/net/"+network, maxSockets)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(bytes.NewReader(table))
		for lines.Scan() {
			f := strings.Fields(lines.Text())
			if len(f) < 10 || f[3] != listenState(network) {
				continue
			}
			if addr, ok := parseSocketAddr(f[1]); ok {
				sockets["socket:["+f[9]+"]"] = fmt.Sprintf("%s:%d", network, addr.Port())
			}
		}
	}
	return sockets
}
