// SPDX-License-Identifier: GPL-2.0
/* Which addresses do slaves and the host have? The kernel's notifiers say so, before and after. */
#include <linux/inetdevice.h>
#include <net/addrconf.h>

#include "ipvl.h"

/* Reads: an IPv4 address as the tables have it. */
static struct in6_addr mapped(__be32 v4)
{
	struct in6_addr addr;

	ipv6_addr_set_v4mapped(v4, &addr);
	return addr;
}

/* Acts: an owner has an address, or has it no more. */
static void learn(struct ipvl_port *port, const struct in6_addr *addr, u32 slot, bool has)
{
	int err = 0;

	spin_lock_bh(&port->lock);
	if (has)
		err = ipvl_addr_add(port->tables, addr, slot);
	else
		ipvl_addr_del(port->tables, addr, slot);
	spin_unlock_bh(&port->lock);
	if (err)
		net_warn_ratelimited("ipvlan: %s: %pI6c gets no packets (%d)\n", netdev_name(port->dev), addr, err);
	if (has && ipvl_addrs_wanted(port->tables))
		schedule_work(&port->grow);
}

/* Acts: a device of the host has an address. The host of a port is the netns of its master. */
static void learn_host(const struct net_device *dev, const struct in6_addr *addr, bool has)
{
	struct ipvl_port *port;

	rcu_read_lock();
	list_for_each_entry_rcu(port, &ipvl_ports, all)
		if (net_eq(read_pnet(&port->net), dev_net(dev)))
			learn(port, addr, IPVL_SLOT_HOST, has);
	rcu_read_unlock();
}

static int on_address(struct net_device *dev, unsigned long event, const struct in6_addr *addr)
{
	const struct ipvl_slave *s = netdev_priv(dev);

	if (event != NETDEV_UP && event != NETDEV_DOWN)
		return NOTIFY_DONE;
	if (ipvl_is_slave(dev))
		learn(s->port, addr, s->slot, event == NETDEV_UP);
	else
		learn_host(dev, addr, event == NETDEV_UP);
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

/* Reads: whether a slave may have an address that nobody has. */
static int on_question(struct net_device *dev, unsigned long event, const struct in6_addr *addr,
		       struct netlink_ext_ack *extack)
{
	const struct ipvl_slave *s = netdev_priv(dev);
	bool owned;

	if (!ipvl_is_slave(dev) || event != NETDEV_UP)
		return NOTIFY_DONE;
	rcu_read_lock();
	owned = ipvl_addr_is_owned(s->port->tables, addr);
	rcu_read_unlock();
	if (!owned)
		return NOTIFY_OK;
	NL_SET_ERR_MSG(extack, "Address already assigned to an ipvlan device");
	return notifier_from_errno(-EADDRINUSE);
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

/* Reads the addresses that one device has. */
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
			learn(port, &addr, IPVL_SLOT_HOST, true);
		}
	}
	if (!in6)
		return;
	read_lock_bh(&in6->lock);
	list_for_each_entry(ifa6, &in6->addr_list, if_list)
		learn(port, &ifa6->addr, IPVL_SLOT_HOST, true);
	read_unlock_bh(&in6->lock);
}

/* Reads the addresses that the host has already. A slave that is still in its netns has addresses of its own. */
void ipvl_host_addresses(struct ipvl_port *port)
{
	struct net_device *dev;

	ASSERT_RTNL();
	for_each_netdev(read_pnet(&port->net), dev)
		if (!ipvl_is_slave(dev))
			read_device(port, dev);
}

static struct notifier_block inet_nb = { .notifier_call = on_inet };
static struct notifier_block inet6_nb = { .notifier_call = on_inet6 };
static struct notifier_block inet_question_nb = { .notifier_call = on_inet_question };
static struct notifier_block inet6_question_nb = { .notifier_call = on_inet6_question };

int ipvl_address_init(void)
{
	register_inetaddr_notifier(&inet_nb);
	register_inet6addr_notifier(&inet6_nb);
	register_inetaddr_validator_notifier(&inet_question_nb);
	register_inet6addr_validator_notifier(&inet6_question_nb);
	return 0;
}

void ipvl_address_exit(void)
{
	unregister_inet6addr_validator_notifier(&inet6_question_nb);
	unregister_inetaddr_validator_notifier(&inet_question_nb);
	unregister_inet6addr_notifier(&inet6_nb);
	unregister_inetaddr_notifier(&inet_nb);
}
