// SPDX-License-Identifier: GPL-2.0
/* Which hooks of the host's stack does a port have? Each as long as one of its slaves needs it: l3s.c, host.c. */
#include "ipvl.h"

/* Acts: a slave needs a hook, or needs it no more. The first registers it, the last takes it back. */
static int use(struct ipvl_port *port, u32 *users, bool *uses, bool wanted, int (*set)(struct ipvl_port *port, bool on))
{
	int err = 0;

	if (wanted == *uses)
		return 0;
	if (*users == !wanted)
		err = set(port, wanted);
	if (err)
		return err;
	*users += wanted ? 1 : -1;
	WRITE_ONCE(*uses, wanted);
	return 0;
}

static int use_l3s(struct ipvl_slave *s, bool wanted)
{
	return use(s->port, &s->port->l3s, &s->l3s, wanted, ipvl_l3s_hooks);
}

static int use_host(struct ipvl_slave *s, bool wanted)
{
	return use(s->port, &s->port->host, &s->host, wanted, ipvl_host_hook);
}

/* Registers what a slave needs with these options; what it does not need stays. A kernel may be built without the host's. */
int ipvl_hooks_need(struct ipvl_slave *s, u32 options)
{
	bool l3s = IPVL_MODE(options) == IPVLAN_MODE_L3S;
	int err = l3s ? use_l3s(s, true) : 0;

	if (!err && ipvl_options_host(options))
		err = use_host(s, true);
	return l3s && err == -EOPNOTSUPP ? 0 : err;
}

/* Unregisters what a slave does not need with these options, which cannot fail. */
void ipvl_hooks_settle(struct ipvl_slave *s, u32 options)
{
	if (IPVL_MODE(options) != IPVLAN_MODE_L3S)
		use_l3s(s, false);
	if (!ipvl_options_host(options))
		use_host(s, false);
}

/* Unregisters what belongs to the netns that the master leaves. */
void ipvl_hooks_leave(struct ipvl_port *port)
{
	ipvl_l3s_hooks(port, false);
	ipvl_host_hook(port, false);
}

/* Registers it in the new one. */
void ipvl_hooks_enter(struct ipvl_port *port)
{
	int err = port->l3s ? ipvl_l3s_hooks(port, true) : 0;

	if (err)
		netdev_err(port->dev, "no hooks in the new namespace (%d): l3s slaves get no packets\n", err);
	err = port->host ? ipvl_host_hook(port, true) : 0;
	if (err)
		netdev_err(port->dev, "no hook in the new namespace (%d): the host does not reach its slaves\n", err);
}
