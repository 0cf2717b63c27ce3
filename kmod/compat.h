/* SPDX-License-Identifier: GPL-2.0 */
/* In what do the kernels differ that the module is built for? All of it is here. */
#ifndef IPVL_COMPAT_H
#define IPVL_COMPAT_H

#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/version.h>
#include <net/inet_dscp.h>
#include <net/ip.h>
#include <net/route.h>
#include <net/rtnetlink.h>

#define KERNEL_FROM(a, b) (LINUX_VERSION_CODE >= KERNEL_VERSION(a, b, 0))

/* 6.15: netdev_lockdep_set_classes has a header of its own */
#if KERNEL_FROM(6, 15)
#include <net/netdev_lock.h>
#endif

/* 6.17: another name; the caller holds RTNL, and no device's own lock */
#if KERNEL_FROM(6, 17)
#include <linux/module.h>
MODULE_IMPORT_NS("NETDEV_INTERNAL");
#define dev_pre_changeaddr_notify netif_pre_changeaddr_notify
#endif

/* 6.12: lockless transmission is no feature any more */
static inline void ipvl_set_lltx(struct net_device *dev)
{
#if KERNEL_FROM(6, 12)
	dev->lltx = true;
#else
	dev->features |= NETIF_F_LLTX;
#endif
}

/* 6.13: a DSCP has a type of its own */
static inline int ipvl_route_input(struct sk_buff *skb, const struct iphdr *ip, struct net_device *dev)
{
#if KERNEL_FROM(6, 13)
	return ip_route_input_noref(skb, ip->daddr, ip->saddr, inet_dsfield_to_dscp(ip->tos), dev);
#else
	return ip_route_input_noref(skb, ip->daddr, ip->saddr, ip->tos, dev);
#endif
}

static inline void ipvl_flow_dscp(struct flowi4 *fl4, const struct iphdr *ip)
{
#if KERNEL_FROM(6, 18)
	fl4->flowi4_dscp = inet_dsfield_to_dscp(ip->tos);
#else
	fl4->flowi4_tos = ip->tos & INET_DSCP_MASK;
#endif
}

/* 6.13: a reason of vxlan's that fits. 7.3 (if not before): one of the kernel's own driver. */
#if KERNEL_FROM(6, 13)
#define IPVL_SKB_FOREIGN_MAC SKB_DROP_REASON_MAC_INVALID_SOURCE
#else
#define IPVL_SKB_FOREIGN_MAC SKB_DROP_REASON_NOT_SPECIFIED
#endif
#if KERNEL_FROM(7, 3)
#define IPVL_SKB_FLOOD_LIMIT SKB_DROP_REASON_IPVLAN_MULTICAST_BACKLOG
#else
#define IPVL_SKB_FLOOD_LIMIT SKB_DROP_REASON_FULL_RING
#endif

/* 6.15: the arguments of newlink are a structure */
#if KERNEL_FROM(6, 15)
#define IPVL_NEWLINK(name, function)									\
	static int name(struct net_device *dev, struct rtnl_newlink_params *params,			\
			struct netlink_ext_ack *extack)							\
	{												\
		return function(rtnl_newlink_link_net(params), dev, params->tb, params->data, extack);	\
	}
#else
#define IPVL_NEWLINK(name, function)									\
	static int name(struct net *net, struct net_device *dev, struct nlattr *tb[],			\
			struct nlattr *data[], struct netlink_ext_ack *extack)				\
	{												\
		return function(net, dev, tb, data, extack);						\
	}
#endif

/* 6.2: a class looks at its devices, and does not change them. 7.3 (if not before): a namespace has a type. */
#define IPVL_NAMESPACE typeof(((struct class *)NULL)->namespace(NULL))
#if KERNEL_FROM(6, 2)
#define IPVL_CLASS_NAMESPACE(name, node) IPVL_NAMESPACE name(const struct device *node)
#else
#define IPVL_CLASS_NAMESPACE(name, node) IPVL_NAMESPACE name(struct device *node)
#endif
#define IPVL_NAMESPACE_OF(net)										\
	__builtin_choose_expr(__builtin_types_compatible_p(IPVL_NAMESPACE, const void *), (net), &(net)->ns)

#endif
