// SPDX-License-Identifier: GPL-2.0
/* What does a master have to do with its slaves? The port's life, and what the master's notifications mean for them. */
#include <linux/if_arp.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "ipvl.h"

LIST_HEAD(ipvl_ports);

/* Reads: whether a device is a master. Whose rx_handler_data it then has is read afterwards, on machines with weak order too. */
bool ipvl_is_master(const struct net_device *dev)
{
	return smp_load_acquire(&dev->rx_handler) == ipvl_receive;
}

struct ipvl_port *ipvl_port_of(const struct net_device *dev)
{
	return rtnl_dereference(dev->rx_handler_data);
}

/* Acts: tells the tables of the master. */
static int tell(struct ipvl_port *port)
{
	return ipvl_port_set(port->tables, port->dev->ifindex, port->dev->mtu, port->dev->dev_addr);
}

/* Acts: tells the tables of a slave. */
void ipvl_slave_tell(struct ipvl_slave *s, bool up)
{
	const struct ipvl_claim claim = ipvl_claim_of(s->dev);

	ipvl_slot_set(s->port->tables, &claim, s->dev->ifindex, s->options, up && (s->master->flags & IFF_UP));
}

/* Acts: addresses move to a larger table. Before the next move its readers must finish. */
static void grow_work(struct work_struct *work)
{
	ipvl_addrs_grow(container_of(work, struct ipvl_port, grow)->tables, get_random_u64());
	synchronize_rcu();
}

/* Acts: makes an empty port. */
static struct ipvl_port *port_alloc(struct net_device *dev)
{
	struct ipvl_port *port = kzalloc(sizeof(*port), GFP_KERNEL_ACCOUNT);

	if (!port)
		return NULL;
	port->dev = dev;
	write_pnet(&port->net, dev_net(dev));
	spin_lock_init(&port->lock);
	INIT_LIST_HEAD(&port->slaves);
	INIT_LIST_HEAD(&port->all);
	skb_queue_head_init(&port->backlog);
	INIT_WORK(&port->flood, ipvl_flood_work);
	INIT_WORK(&port->grow, grow_work);
	port->drops = alloc_percpu(struct ipvl_drops);
	port->routes = ipvl_routes_new();
	port->tables = ipvl_tables_new(&port->lock);
	return port;
}

/* Frees the port. No packet is in it when rx_handler_unregister returns, and no notifier. */
static void port_free(struct ipvl_port *port)
{
	list_del_rcu(&port->all);
	synchronize_rcu();
	flush_work(&port->flood); /* what waits finds no slaves any more */
	cancel_work_sync(&port->grow);
	ipvl_tables_free(port->tables);
	ipvl_routes_forget(port);
	free_percpu(port->routes);
	free_percpu(port->drops);
	kfree(port);
}

/* Registers a port for a master, with the addresses that the host has. */
int ipvl_port_create(struct net_device *dev)
{
	struct ipvl_port *port;
	int err = -ENOMEM;

	if (dev->type != ARPHRD_ETHER || dev->flags & IFF_LOOPBACK) {
		netdev_err(dev, "Master is either lo or non-ether device\n");
		return -EINVAL;
	}
	if (netif_is_macvlan_port(dev)) {
		netdev_err(dev, "Master is a macvlan port.\n");
		return -EBUSY;
	}
	port = port_alloc(dev);
	if (!port)
		return -ENOMEM;
	if (port->drops && port->routes && port->tables && !tell(port) && !ipvl_addrs_grow(port->tables, get_random_u64())) {
		list_add_tail_rcu(&port->all, &ipvl_ports);
		ipvl_host_addresses(port);
		err = netdev_rx_handler_register(dev, ipvl_receive, port);
	}
	if (err)
		port_free(port);
	return err;
}

/* Acts: the port has one slave less. The last takes it along. */
void ipvl_port_put(struct ipvl_port *port)
{
	if (--port->count)
		return;
	netdev_rx_handler_unregister(port->dev);
	port_free(port);
}

/* ---- the master's notifications ---- */

/* Acts: the master has another netns now. */
static void moved(struct ipvl_port *port)
{
	if (net_eq(read_pnet(&port->net), dev_net(port->dev)))
		return;
	write_pnet(&port->net, dev_net(port->dev));
	ipvl_hooks_enter(port);
	synchronize_net(); /* some packet may still be routed by the old one */
	ipvl_routes_forget(port);
	ipvl_addrs_forget_host(port->tables);
	ipvl_host_addresses(port);
}

static void remove_slaves(struct ipvl_port *port)
{
	struct ipvl_slave *s, *next;
	LIST_HEAD(gone);

	list_for_each_entry_safe(s, next, &port->slaves, list)
		s->dev->rtnl_link_ops->dellink(s->dev, &gone);
	unregister_netdevice_many(&gone);
}

/* Acts: what happens to the master happens to one slave. */
static int follow(struct ipvl_slave *s, unsigned long event, struct netdev_notifier_info *info)
{
	struct net_device *dev = s->dev, *master = s->master;

	switch (event) {
	case NETDEV_UP:
	case NETDEV_DOWN:
	case NETDEV_CHANGE:
		netif_stacked_transfer_operstate(master, dev);
		ipvl_slave_tell(s, netif_running(dev));
		return 0;
	case NETDEV_FEAT_CHANGE:
		netif_inherit_tso_max(dev, master);
		dev->needed_headroom = master->needed_headroom;
		dev->needed_tailroom = master->needed_tailroom;
		netdev_update_features(dev);
		return 0;
	case NETDEV_CHANGEMTU:
		return dev->mtu > master->mtu ? dev_set_mtu(dev, master->mtu) : 0;
	case NETDEV_PRE_CHANGEADDR:
		return dev_pre_changeaddr_notify(dev, ((struct netdev_notifier_pre_changeaddr_info *)info)->dev_addr,
						 info->extack);
	case NETDEV_CHANGEADDR:
		eth_hw_addr_set(dev, master->dev_addr);
		call_netdevice_notifiers(NETDEV_CHANGEADDR, dev);
		return 0;
	case NETDEV_NOTIFY_PEERS:
	case NETDEV_BONDING_FAILOVER:
	case NETDEV_RESEND_IGMP:
		call_netdevice_notifiers(event, dev);
		return 0;
	default:
		return 0;
	}
}

/* Acts: the same for all slaves. One may refuse a new MAC address. */
static int follow_all(struct ipvl_port *port, unsigned long event, struct netdev_notifier_info *info)
{
	struct ipvl_slave *s;
	int err;

	list_for_each_entry(s, &port->slaves, list) {
		err = follow(s, event, info);
		if (err && event == NETDEV_PRE_CHANGEADDR)
			return notifier_from_errno(err);
	}
	return NOTIFY_DONE;
}

static int on_device(struct notifier_block *nb, unsigned long event, void *ptr)
{
	struct net_device *dev = netdev_notifier_info_to_dev(ptr);
	struct ipvl_port *port;

	if (!ipvl_is_master(dev))
		return NOTIFY_DONE;
	port = ipvl_port_of(dev);
	switch (event) {
	case NETDEV_PRE_TYPE_CHANGE:
		return NOTIFY_BAD;
	case NETDEV_REGISTER:
		moved(port);
		fallthrough;
	case NETDEV_CHANGEMTU:
	case NETDEV_CHANGEADDR:
		if (tell(port))
			netdev_err(dev, "no memory: slaves still use the old MAC address and MTU\n");
		break;
	case NETDEV_UNREGISTER:
		if (dev->reg_state == NETREG_UNREGISTERING)
			remove_slaves(port);
		else
			ipvl_hooks_leave(port); /* moves */
		return NOTIFY_DONE;
	case NETDEV_PRECHANGEUPPER:
	case NETDEV_CHANGEUPPER:
		return NOTIFY_DONE; /* one slave more or less means nothing to the others, which may be thousands */
	}
	return follow_all(port, event, ptr);
}

struct notifier_block ipvl_device_nb = { .notifier_call = on_device };
