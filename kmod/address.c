// SPDX-License-Identifier: GPL-2.0
/* Which addresses do slaves and the host have? The kernel's notifiers say so, before and after. */
#include <linux/inetdevice.h>
#include <net/addrconf.h>
#include <net/arp.h>
#include <net/ndisc.h>

#include "ipvl.h"

/* Reads: an IPv4 address as the tables have it. */
static struct in6_addr mapped(__be32 v4)
{
	struct in6_addr addr;

	ipv6_addr_set_v4mapped(v4, &addr);
	return addr;
}

/* Reads: what having an address means to the tables. */
struct ipvl_claim ipvl_claim_of(const struct net_device *dev)
{
	return (struct ipvl_claim){
		.slot = ipvl_is_slave(dev) ? ipvl_slave_of(dev)->slot : IPVL_SLOT_HOST,
		.netns = dev_net(dev)->ns.inum,
	};
}

/* Acts: a device has an address. */
static void learn(struct ipvl_port *port, const struct net_device *dev, const struct in6_addr *addr)
{
	const struct ipvl_claim claimed = ipvl_claim_of(dev);
	int err = ipvl_addr_add(port->tables, addr, &claimed);

	if (err > 0)
		schedule_work(&port->grow);
	if (err < 0)
		net_warn_ratelimited("ipvlan: %s: %pI6c gets no packets (%d)\n", netdev_name(port->dev), addr, err);
}

/* Reads: whether a device has an address. */
static bool has(struct net_device *dev, const struct in6_addr *addr)
{
	struct in_device *in = __in_dev_get_rcu(dev);
	const struct in_ifaddr *ifa;

	if (!ipv6_addr_v4mapped(addr))
		return ipv6_chk_addr_and_flags(dev_net(dev), addr, dev, false, true, 0);
	if (in) {
		in_dev_for_each_ifa_rcu(ifa, in)
			if (ifa->ifa_local == addr->s6_addr32[3])
				return true;
	}
	return false;
}

/* Reads: a device of the host that has an address, or NULL. */
static struct net_device *holder(const struct ipvl_port *port, const struct in6_addr *addr)
{
	struct net_device *dev;

	for_each_netdev_rcu(read_pnet(&port->net), dev)
		if (!ipvl_is_slave(dev) && has(dev, addr))
			return dev;
	return NULL;
}

/*
 * Acts: a device of the host has an address no more; another may still have it. Events are not counted: one may come twice
 * (an IPv4 address that was a secondary one), and autoconfigured addresses come while others are read or go. What comes
 * after the second look tells it itself.
 */
static void forget(struct ipvl_port *port, const struct in6_addr *addr)
{
	struct net_device *dev;

	if (holder(port, addr))
		return;
	ipvl_addr_del(port->tables, addr, IPVL_SLOT_HOST);
	dev = holder(port, addr);
	if (dev)
		learn(port, dev, addr);
}

/* Acts: the host, which was told the slave's MAC address for this one (host.c), asks again: another may have it now. */
static void forget_neighbour(struct net_device *master, const struct in6_addr *addr)
{
	bool v4 = ipv6_addr_v4mapped(addr);
	const void *key = v4 ? (const void *)&addr->s6_addr32[3] : addr;
	struct neighbour *neigh = neigh_lookup(v4 ? &arp_tbl : &nd_tbl, key, master);

	if (!neigh)
		return;
	if (!(READ_ONCE(neigh->nud_state) & NUD_PERMANENT))
		neigh_update(neigh, NULL, NUD_FAILED, NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_ADMIN, 0);
	neigh_release(neigh);
}

/* Acts: a slave tells its port. */
static void on_slave_address(struct ipvl_slave *s, bool comes, const struct in6_addr *addr)
{
	if (comes) {
		learn(s->port, s->dev, addr);
		return;
	}
	ipvl_addr_del(s->port->tables, addr, s->slot);
	if (READ_ONCE(s->host))
		forget_neighbour(s->master, addr);
}

/* Acts: a device of the host tells all ports whose master is in its netns. */
static void on_host_address(struct net_device *dev, bool comes, const struct in6_addr *addr)
{
	struct ipvl_port *port;

	rcu_read_lock();
	list_for_each_entry_rcu(port, &ipvl_ports, all) {
		if (!net_eq(read_pnet(&port->net), dev_net(dev)))
			continue;
		if (comes)
			learn(port, dev, addr);
		else
			forget(port, addr);
	}
	rcu_read_unlock();
}

static int on_address(struct net_device *dev, unsigned long event, const struct in6_addr *addr)
{
	if (event != NETDEV_UP && event != NETDEV_DOWN)
		return NOTIFY_DONE;
	if (ipvl_is_slave(dev))
		on_slave_address(ipvl_slave_of(dev), event == NETDEV_UP, addr);
	else
		on_host_address(dev, event == NETDEV_UP, addr);
	return NOTIFY_OK;
}

static int on_inet(struct notifier_block *nb, unsigned long event, void *ptr)
{
	const struct in_ifaddr *ifa = ptr;
	const struct in6_addr addr = mapped(ifa->ifa_local);

	return on_address(ifa->ifa_dev->dev, event, &addr);
}

static int on_inet6(struct notifier_block *nb, unsigned long event, void *ptr)
{
	const struct inet6_ifaddr *ifa = ptr;

	return on_address(ifa->idev->dev, event, &ifa->addr);
}

/* Reads: whether a slave may have an address. */
static int on_question(struct net_device *dev, unsigned long event, const struct in6_addr *addr,
		       struct netlink_ext_ack *extack)
{
	const struct ipvl_claim claimed = ipvl_claim_of(dev);
	struct ipvl_answer answer;

	if (claimed.slot == IPVL_SLOT_HOST || event != NETDEV_UP)
		return NOTIFY_DONE;
	rcu_read_lock();
	answer = ipvl_addr_check(ipvl_slave_of(dev)->port->tables, addr, &claimed);
	rcu_read_unlock();
	return answer.err ? notifier_from_errno(ipvl_tell(answer, extack)) : NOTIFY_OK;
}

static int on_inet_question(struct notifier_block *nb, unsigned long event, void *ptr)
{
	const struct in_validator_info *info = ptr;
	const struct in6_addr addr = mapped(info->ivi_addr);

	return on_question(info->ivi_dev->dev, event, &addr, info->extack);
}

static int on_inet6_question(struct notifier_block *nb, unsigned long event, void *ptr)
{
	const struct in6_validator_info *info = ptr;

	return on_question(info->i6vi_dev->dev, event, &info->i6vi_addr, info->extack);
}

/* Reads the addresses that one device of the host has. */
static void read_device(struct ipvl_port *port, struct net_device *dev)
{
	struct in_device *in = __in_dev_get_rtnl(dev);
	struct inet6_dev *in6 = __in6_dev_get(dev);
	const struct inet6_ifaddr *ifa6;
	const struct in_ifaddr *ifa;
	struct in6_addr addr;

	if (in) {
		in_dev_for_each_ifa_rtnl(ifa, in) {
			addr = mapped(ifa->ifa_local);
			learn(port, dev, &addr);
		}
	}
	if (in6) {
		read_lock_bh(&in6->lock);
		list_for_each_entry(ifa6, &in6->addr_list, if_list)
			learn(port, dev, &ifa6->addr);
		read_unlock_bh(&in6->lock);
	}
}

/* Reads the addresses that the host has already. A slave that is still in its netns has addresses of its own. */
void ipvl_host_addresses(struct ipvl_port *port)
{
	struct net_device *dev;

	for_each_netdev(read_pnet(&port->net), dev)
		if (!ipvl_is_slave(dev))
			read_device(port, dev);
}

/* Reads the addresses that a slave has on its device: it may own others of them now. */
void ipvl_slave_addresses(struct ipvl_slave *s)
{
	read_device(s->port, s->dev);
}

/* Acts: addresses are declared for a slave, or are no more. The host asks for the MAC address of such an address again. */
int ipvl_slave_declare(struct ipvl_slave *s, const struct ipvl_declaration *wanted, struct netlink_ext_ack *extack)
{
	const struct ipvl_claim claimed = ipvl_claim_of(s->dev);
	int err = ipvl_tell(ipvl_declare(s->port->tables, wanted, &claimed), extack);

	if (err)
		return err;
	schedule_work(&s->port->grow);
	forget_neighbour(s->master, &wanted->addr);
	ipvl_slave_addresses(s);
	return 0;
}

static struct notifier_block inet_nb = { .notifier_call = on_inet };
static struct notifier_block inet6_nb = { .notifier_call = on_inet6 };
static struct notifier_block inet_question_nb = { .notifier_call = on_inet_question };
static struct notifier_block inet6_question_nb = { .notifier_call = on_inet6_question };

void ipvl_address_init(void)
{
	register_inetaddr_notifier(&inet_nb);
	register_inet6addr_notifier(&inet6_nb);
	register_inetaddr_validator_notifier(&inet_question_nb);
	register_inet6addr_validator_notifier(&inet6_question_nb);
}

void ipvl_address_exit(void)
{
	unregister_inet6addr_validator_notifier(&inet6_question_nb);
	unregister_inetaddr_validator_notifier(&inet_question_nb);
	unregister_inet6addr_notifier(&inet6_nb);
	unregister_inetaddr_notifier(&inet_nb);
}
