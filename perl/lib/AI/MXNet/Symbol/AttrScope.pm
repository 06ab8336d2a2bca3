package AI::MXNet::Symbol::AttrScope;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use Scalar::Util qw(blessed);

# Attributes that every new node gets. The scope in charge is $AI::MXNet::AttrScope, so that a script may give it another value
# with local.

sub new
{
    my ($class, @attributes) = @_;
    AI::MXNet::Keshi::fail('AttrScope: got an odd number of arguments, want keys and values') if @attributes % 2;
    my %attr = @attributes;
    for my $key (sort keys %attr) {
        AI::MXNet::Keshi::fail("AttrScope: $key got " . ($attr{$key} // 'undef') . ', want a text')
            if not defined $attr{$key}
            or ref $attr{$key};
    }
    return bless { attr => \%attr }, ref $class || $class;
}

sub attr { return $_[0]{attr} }

# The attributes of the scope, under those given.
sub get
{
    my ($self, $attr) = @_;
    return { %{ $self->{attr} }, %{ $attr // {} } };
}

sub current { return $AI::MXNet::AttrScope }

sub set_current
{
    my ($class, $scope) = @_;
    AI::MXNet::Keshi::fail('set_current: got ' . ($scope // 'undef') . ', want an AI::MXNet::Symbol::AttrScope')
        if not blessed($scope)
        or not $scope->isa(__PACKAGE__);
    return $AI::MXNet::AttrScope = $scope;
}

$AI::MXNet::AttrScope //= __PACKAGE__->new;

1;

__END__

=head1 NAME

AI::MXNet::Symbol::AttrScope - attributes for all nodes that are made in a scope

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $layer;
    {
        local $mx::AttrScope = mx->AttrScope(ctx_group => 'left', __mood__ => 'calm');
        $layer = mx->sym->FullyConnected(mx->sym->Variable('x'), num_hidden => 4, name => 'fc');
    }
    print $layer->attr('ctx_group'), "\n";    # left

=head1 DESCRIPTION

Variables and operators that are made while a scope is in charge get its attributes, unless they are given others of the same
key. Values are texts. A scope inside another does not see the outer one. C<$mx::AttrScope> is the one in charge;
C<set_current> or C<local> changes it. C<get(\%attributes)> gives those of the scope and, over them, those given.

=cut
