// SPDX-License-Identifier: GPL-2.0
/* What does rtnetlink ask of the kind "ipvlan"? Attributes, errors and dumps are those of the kernel's own driver. */

#include <linux/module.h>

#include "ipvl.h"

/* Reads what a message says of a slave. */
static struct ipvl_request read_request(struct nlattr *data[])
{
	struct ipvl_request request = { .mode = IPVL_NOT_GIVEN, .flags = IPVL_NOT_GIVEN };
	struct nla_bitfield32 options;

	if (data && data[IFLA_IPVLAN_MODE])
		request.mode = nla_get_u16(data[IFLA_IPVLAN_MODE]);
	if (data && data[IFLA_IPVLAN_FLAGS])
		request.flags = nla_get_u16(data[IFLA_IPVLAN_FLAGS]);
	if (data && data[IFLA_IPVLAN_OPTIONS]) {
		options = nla_get_bitfield32(data[IFLA_IPVLAN_OPTIONS]);
		request.value = options.value;
		request.selector = options.selector;
	}
	if (data && data[IFLA_IPVLAN_DECLARED])
		request.declared = nla_data(data[IFLA_IPVLAN_DECLARED]);
	return request;
}

/* Reads: whether what a message says can be done. New slaves and changes pass here. */
static int validate(struct nlattr *tb[], struct nlattr *data[], struct netlink_ext_ack *extack)
{
	const struct ipvl_request request = read_request(data);

	return ipvl_tell(ipvl_options_check(&request), extack);
}

/* Acts: gives one slave other options. Nothing has changed if it fails. */
static int set_options(struct ipvl_slave *s, u32 options, struct netlink_ext_ack *extack)
{
	u16 mode = IPVL_MODE(options), before = IPVL_MODE(s->options);
	struct net_device *dev = s->dev;
	bool arp = mode == IPVLAN_MODE_L2;
	int err = ipvl_hooks_need(s, options);

	if (!err && arp != (before == IPVLAN_MODE_L2))
		err = dev_change_flags(dev, arp ? dev->flags & ~IFF_NOARP : dev->flags | IFF_NOARP, extack);
	ipvl_hooks_settle(s, err ? s->options : options);
	if (err)
		return err;
	s->options = options;
	ipvl_slave_tell(s, netif_running(dev));
	return 0;
}

static int changelink(struct net_device *dev, struct nlattr *tb[], struct nlattr *data[],
		      struct netlink_ext_ack *extack)
{
	const struct ipvl_request request = read_request(data);
	struct ipvl_slave *s = netdev_priv(dev);
	int err;

	if (!data)
		return 0;
	if (!ns_capable(dev_net(s->master)->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	if (request.declared)
		return ipvl_slave_declare(s, request.declared, extack);
	err = set_options(s, ipvl_options_changed(s->options, &request), extack);
	if (!err)
		ipvl_slave_addresses(s);
	return err;
}

/* Reads: the master for a new slave. A slave stands for its own master. */
static struct net_device *find_master(struct net *net, struct nlattr *tb[])
{
	struct net_device *master;

	if (!tb[IFLA_LINK])
		return ERR_PTR(-EINVAL);
	master = __dev_get_by_index(net, nla_get_u32(tb[IFLA_LINK]));
	if (!master)
		return ERR_PTR(-ENODEV);
	if (!ipvl_is_slave(master))
		return master;
	master = ipvl_slave_of(master)->master;
	return ns_capable(dev_net(master)->user_ns, CAP_NET_ADMIN) ? master : ERR_PTR(-EPERM);
}

/* Acts: what is known of a slave before its device is registered. */
static void prepare(struct ipvl_slave *s, struct net_device *dev, struct net_device *master, struct nlattr *tb[],
		    struct nlattr *data[])
{
	const struct ipvl_request request = read_request(data);

	s->dev = dev;
	s->master = master;
	s->features = ~0ULL;
	s->options = ipvl_options_changed(ipvl_options_default(), &request);
	INIT_LIST_HEAD(&s->list);
	if (!tb[IFLA_MTU])
		dev->mtu = master->mtu;
	eth_hw_addr_set(dev, master->dev_addr);
	dev->priv_flags |= IFF_NO_RX_HANDLER;
}

int ipvl_link_new(struct net *net, struct net_device *dev, struct nlattr *tb[], struct nlattr *data[],
		  struct netlink_ext_ack *extack)
{
	struct net_device *master = find_master(net, tb);
	struct ipvl_slave *s = netdev_priv(dev);
	int err;

	if (IS_ERR(master))
		return PTR_ERR(master);
	if (data && data[IFLA_IPVLAN_DECLARED]) {
		NL_SET_ERR_MSG(extack, "an address is declared for a slave that is there");
		return -EINVAL;
	}
	prepare(s, dev, master, tb, data);
	err = register_netdevice(dev); /* device.c gives it a port and a slot */
	if (err)
		return err;
	err = netdev_upper_dev_link(master, dev, extack);
	if (err)
		goto unregister;
	err = ipvl_hooks_need(s, s->options);
	if (err)
		goto unlink;
	ipvl_slave_tell(s, false);
	list_add_tail(&s->list, &s->port->slaves);
	netif_stacked_transfer_operstate(master, dev);
	return 0;

unlink:
	netdev_upper_dev_unlink(master, dev);
unregister:
	unregister_netdevice(dev);
	return err;
}
EXPORT_SYMBOL_GPL(ipvl_link_new);

IPVL_NEWLINK(newlink, ipvl_link_new)

void ipvl_link_delete(struct net_device *dev, struct list_head *head)
{
	struct ipvl_slave *s = netdev_priv(dev);

	list_del_init(&s->list);
	unregister_netdevice_queue(dev, head);
	netdev_upper_dev_unlink(s->master, dev);
}
EXPORT_SYMBOL_GPL(ipvl_link_delete);

void ipvl_link_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->max_mtu = ETH_MAX_MTU;
	dev->priv_flags &= ~(IFF_XMIT_DST_RELEASE | IFF_TX_SKB_SHARING);
	dev->priv_flags |= IFF_UNICAST_FLT | IFF_NO_QUEUE;
	dev->netdev_ops = &ipvl_netdev_ops;
	dev->ethtool_ops = &ipvl_ethtool_ops;
	dev->priv_destructor = ipvl_slave_free;
	dev->needs_free_netdev = true;
}
EXPORT_SYMBOL_GPL(ipvl_link_setup);

/* Reads what is declared for a slave, in so many bytes. */
static const struct ipvl_declaration *declared(const struct net_device *dev, u32 *bytes)
{
	const struct ipvl_slave *s = netdev_priv(dev);

	return ipvl_declared(s->port->tables, s->slot, bytes);
}

static size_t get_size(const struct net_device *dev)
{
	u32 bytes;

	declared(dev, &bytes);
	return nla_total_size(2) + nla_total_size(2) + nla_total_size(sizeof(struct nla_bitfield32)) + nla_total_size(bytes);
}

static int fill_info(struct sk_buff *skb, const struct net_device *dev)
{
	const struct ipvl_slave *s = netdev_priv(dev);
	u32 bytes;
	const void *what = declared(dev, &bytes);

	if (nla_put_u16(skb, IFLA_IPVLAN_MODE, IPVL_MODE(s->options)) ||
	    nla_put_u16(skb, IFLA_IPVLAN_FLAGS, ipvl_options_flags(s->options)) ||
	    nla_put_bitfield32(skb, IFLA_IPVLAN_OPTIONS, s->options & ipvl_options_ours(), ipvl_options_ours()))
		return -EMSGSIZE;
	return bytes ? nla_put(skb, IFLA_IPVLAN_DECLARED, bytes, what) : 0;
}

static size_t get_xstats_size(const struct net_device *dev)
{
	return nla_total_size(IPVL_REASONS * sizeof(u64));
}

/* The drops of the slave's own frames, by reason. */
static int fill_xstats(struct sk_buff *skb, const struct net_device *dev)
{
	struct nlattr *drops = nla_reserve(skb, IFLA_INFO_XSTATS, IPVL_REASONS * sizeof(u64));
	u64 data[IPVL_REASONS];

	if (!drops)
		return -EMSGSIZE;
	ipvl_read_drops(ipvl_slave_of(dev)->drops, data);
	memcpy(nla_data(drops), data, sizeof(data));
	return 0;
}

static struct net *get_link_net(const struct net_device *dev)
{
	return dev_net(ipvl_slave_of(dev)->master);
}

static const struct nla_policy policy[IFLA_IPVLAN_DECLARED + 1] = {
	[IFLA_IPVLAN_MODE] = { .type = NLA_U16 },
	[IFLA_IPVLAN_FLAGS] = { .type = NLA_U16 },
	[IFLA_IPVLAN_OPTIONS] = NLA_POLICY_BITFIELD32(U32_MAX),
	[IFLA_IPVLAN_DECLARED] = NLA_POLICY_EXACT_LEN(sizeof(struct ipvl_declaration)),
};

/* Registers a kind of slaves that says how it differs. */
int ipvl_link_register(struct rtnl_link_ops *ops)
{
	ops->validate = validate;
	ops->changelink = changelink;
	ops->policy = policy;
	ops->maxtype = IFLA_IPVLAN_DECLARED;
	ops->get_size = get_size;
	ops->fill_info = fill_info;
	ops->get_xstats_size = get_xstats_size;
	ops->fill_xstats = fill_xstats;
	ops->get_link_net = get_link_net;
	return rtnl_link_register(ops);
}
EXPORT_SYMBOL_GPL(ipvl_link_register);

struct rtnl_link_ops ipvl_link_ops = {
	.kind		= "ipvlan",
	.priv_size	= sizeof(struct ipvl_slave),
	.setup		= ipvl_link_setup,
	.newlink	= newlink,
	.dellink	= ipvl_link_delete,
};
