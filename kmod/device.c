// SPDX-License-Identifier: GPL-2.0
/* What is a slave as a network device? Its life, its features, its counters, and ethtool. */
#include <linux/ethtool.h>

#include "ipvl.h"

#define FEATURES												\
	(NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_HIGHDMA | NETIF_F_FRAGLIST | NETIF_F_GSO | NETIF_F_ALL_TSO |	\
	 NETIF_F_GSO_ROBUST | NETIF_F_GRO | NETIF_F_RXCSUM | NETIF_F_HW_VLAN_CTAG_FILTER |			\
	 NETIF_F_HW_VLAN_STAG_FILTER)
#define ALWAYS_ON_OFFLOADS	\
	(NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_GSO_ROBUST | NETIF_F_GSO_SOFTWARE | NETIF_F_GSO_ENCAP_ALL)
#define ALWAYS_ON (ALWAYS_ON_OFFLOADS | NETIF_F_VLAN_CHALLENGED)
#define STATES (BIT(__LINK_STATE_NOCARRIER) | BIT(__LINK_STATE_DORMANT))

/* Reads what a slave has of its master. */
static void inherit(struct net_device *dev, const struct net_device *master)
{
	dev->state = (dev->state & ~STATES) | (master->state & STATES);
	dev->features = (master->features & FEATURES) | ALWAYS_ON;
	ipvl_set_lltx(dev);
	dev->vlan_features = (master->vlan_features & FEATURES) | ALWAYS_ON_OFFLOADS;
	dev->hw_enc_features |= dev->features;
	netif_inherit_tso_max(dev, master);
	dev->hard_header_len = master->hard_header_len;
	dev->needed_headroom = master->needed_headroom;
	dev->needed_tailroom = master->needed_tailroom;
}

/* Registers the slave with its port, which it makes if it is the first. */
static int slave_init(struct net_device *dev)
{
	struct ipvl_slave *s = netdev_priv(dev);
	int err;

	inherit(dev, s->master);
	netdev_lockdep_set_classes(dev);
	dev->tstats = netdev_alloc_pcpu_stats(struct pcpu_sw_netstats);
	s->drops = alloc_percpu(struct ipvl_drops);
	err = dev->tstats && s->drops ? 0 : -ENOMEM;
	if (!err && !ipvl_is_master(s->master))
		err = ipvl_port_create(s->master);
	if (err)
		goto free;
	s->port = ipvl_port_of(s->master);
	s->port->count++;
	err = ipvl_slot_take(s->port->tables, dev);
	if (err < 0)
		goto put;
	s->slot = err;
	dev->dev_id = s->slot + 1;
	netdev_hold(s->master, &s->master_tracker, GFP_KERNEL);
	return 0;

put:
	ipvl_port_put(s->port);
free:
	free_percpu(s->drops);
	free_percpu(dev->tstats);
	return err;
}

static void slave_uninit(struct net_device *dev)
{
	struct ipvl_slave *s = netdev_priv(dev);

	ipvl_hooks_settle(s, 0); /* l2 without host access, which needs none */
	ipvl_slot_free(s->port->tables, s->slot);
	ipvl_port_put(s->port);
}

void ipvl_slave_free(struct net_device *dev)
{
	struct ipvl_slave *s = netdev_priv(dev);

	free_percpu(s->drops);
	free_percpu(dev->tstats);
	netdev_put(s->master, &s->master_tracker);
}

static int slave_open(struct net_device *dev)
{
	struct ipvl_slave *s = netdev_priv(dev);

	if (IPVL_MODE(s->options) == IPVLAN_MODE_L2)
		dev->flags &= ~IFF_NOARP;
	else
		dev->flags |= IFF_NOARP;
	ipvl_slave_tell(s, true);
	return 0;
}

static int slave_stop(struct net_device *dev)
{
	struct ipvl_slave *s = netdev_priv(dev);

	ipvl_slave_tell(s, false);
	dev_uc_unsync(s->master, dev);
	dev_mc_unsync(s->master, dev);
	return 0;
}

static void slave_change_rx_flags(struct net_device *dev, int change)
{
	struct ipvl_slave *s = netdev_priv(dev);

	if (change & IFF_ALLMULTI)
		dev_set_allmulti(s->master, dev->flags & IFF_ALLMULTI ? 1 : -1);
}

/* Reads what the slave has joined. Null, if all is wanted or there is no memory: then it gets every group's frames. */
static struct ipvl_groups *joined(struct net_device *dev)
{
	struct ipvl_groups *groups;
	struct netdev_hw_addr *ha;

	if (dev->flags & (IFF_PROMISC | IFF_ALLMULTI))
		return NULL;
	groups = kzalloc(struct_size(groups, macs, netdev_mc_count(dev)), GFP_ATOMIC | __GFP_NOWARN);
	if (!groups)
		return NULL;
	netdev_for_each_mc_addr(ha, dev)
		groups->macs[groups->len++] = ether_addr_to_u64(ha->addr);
	return groups;
}

static void slave_set_rx_mode(struct net_device *dev)
{
	struct ipvl_slave *s = netdev_priv(dev);

	ipvl_slot_join(s->port->tables, s->slot, joined(dev));
	dev_uc_sync(s->master, dev);
	dev_mc_sync(s->master, dev);
}

static netdev_features_t slave_fix_features(struct net_device *dev, netdev_features_t features)
{
	const struct ipvl_slave *s = netdev_priv(dev);

	features |= NETIF_F_ALL_FOR_ALL;
	features = netdev_increment_features(s->master->features, features, features);
	features &= s->features | ~FEATURES;
	return (features | ALWAYS_ON) & (FEATURES | ALWAYS_ON);
}

static int slave_add_vid(struct net_device *dev, __be16 proto, u16 vid)
{
	return vlan_vid_add(ipvl_slave_of(dev)->master, proto, vid);
}

static int slave_kill_vid(struct net_device *dev, __be16 proto, u16 vid)
{
	vlan_vid_del(ipvl_slave_of(dev)->master, proto, vid);
	return 0;
}

static int slave_get_iflink(const struct net_device *dev)
{
	return READ_ONCE(ipvl_slave_of(dev)->master->ifindex);
}

const struct net_device_ops ipvl_netdev_ops = {
	.ndo_init		= slave_init,
	.ndo_uninit		= slave_uninit,
	.ndo_open		= slave_open,
	.ndo_stop		= slave_stop,
	.ndo_start_xmit		= ipvl_xmit,
	.ndo_fix_features	= slave_fix_features,
	.ndo_change_rx_flags	= slave_change_rx_flags,
	.ndo_set_rx_mode	= slave_set_rx_mode,
	.ndo_get_stats64	= dev_get_tstats64,
	.ndo_vlan_rx_add_vid	= slave_add_vid,
	.ndo_vlan_rx_kill_vid	= slave_kill_vid,
	.ndo_get_iflink		= slave_get_iflink,
};

static int get_link_ksettings(struct net_device *dev, struct ethtool_link_ksettings *cmd)
{
	return __ethtool_get_link_ksettings(ipvl_slave_of(dev)->master, cmd);
}

static void get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	strscpy(info->driver, "ipvlan", sizeof(info->driver));
	strscpy(info->version, "0.1", sizeof(info->version));
}

static u32 get_msglevel(struct net_device *dev)
{
	return ipvl_slave_of(dev)->msg_enable;
}

static void set_msglevel(struct net_device *dev, u32 value)
{
	ipvl_slave_of(dev)->msg_enable = value;
}

/* Drops by reason: of the slave's own frames, then of the frames that the master received, for all slaves. */
static int get_sset_count(struct net_device *dev, int set)
{
	return set == ETH_SS_STATS ? 2 * IPVL_REASONS : -EOPNOTSUPP;
}

static void get_strings(struct net_device *dev, u32 set, u8 *data)
{
	u32 i;

	if (set != ETH_SS_STATS)
		return;
	for (i = 0; i < 2 * IPVL_REASONS; i++) {
		char name[ETH_GSTRING_LEN] = "unknown";

		ipvl_reason_name(i % IPVL_REASONS, name, sizeof(name));
		ethtool_sprintf(&data, i < IPVL_REASONS ? "tx_drop_%s" : "wire_drop_%s", name);
	}
}

static void get_ethtool_stats(struct net_device *dev, struct ethtool_stats *stats, u64 *data)
{
	const struct ipvl_slave *s = netdev_priv(dev);

	ipvl_read_drops(s->drops, data);
	ipvl_read_drops(s->port->drops, data + IPVL_REASONS);
}

const struct ethtool_ops ipvl_ethtool_ops = {
	.get_link		= ethtool_op_get_link,
	.get_link_ksettings	= get_link_ksettings,
	.get_drvinfo		= get_drvinfo,
	.get_msglevel		= get_msglevel,
	.set_msglevel		= set_msglevel,
	.get_sset_count		= get_sset_count,
	.get_strings		= get_strings,
	.get_ethtool_stats	= get_ethtool_stats,
};
