package runner

import "testing"

func TestOnlyTheErrorsOfLXCAreShown(t *testing.T) {
	const log = `lxc p_tiny 20261122231038.951 WARN     cgfsng - ../src/lxc/cgroups/cgfsng.c:fchowmodat:1619 - No such file or directory - Failed to fchownat(34, memory.oom.group)
lxc p_tiny 20261122231038.955 ERROR    start - ../src/lxc/start.c:start:2164 - No such file or directory - Failed to exec "/sbin/init"
lxc p_tiny 20261122231038.956 ERROR    sync - ../src/lxc/sync.c:sync_wait:34 - An error occurred in another process (expected sequence number 7)
lxc p_tiny 20261122231038.956 ERROR    sync - ../src/lxc/sync.c:sync_wait:34 - An error occurred in another process (expected sequence number 7)
lxc 20261122231044.141 ERROR    af_unix - ../src/lxc/af_unix.c:lxc_abstract_unix_recv_fds_iov:218 - Connection reset by peer - Failed to receive response
lxc 20261122231044.142 ERROR    commands - ../src/lxc/commands.c:lxc_cmd_rsp_recv_fds:128 - Failed to receive file descriptors for command "get_state"
something else
`
	const want = `No such file or directory - Failed to exec "/sbin/init"
An error occurred in another process (expected sequence number 7)`
	if got := lxcErrors(log); got != want {
		t.Errorf("got %s", got)
	}
	if got := firstLine(lxcErrors(log)); got != `No such file or directory - Failed to exec "/sbin/init"` {
		t.Errorf("the cause is %q", got)
	}
	if got := lxcErrors(""); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}
