package AI::MXNet::Symbol::Base;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Symbol::AttrScope;
use AI::MXNet::Symbol::NameManager;
use Scalar::Util qw(blessed);

# One method for each name of each operator: it makes a node.

# What may be named beside parameters and inputs.
my %common = map { $_ => 1 } qw(name attr lr_mult wd_mult init __layout__ dtype shape);
my $hidden = qr/(?:ctx_group|lr_mult|wd_mult|force_mirroring|mirror_stage)$/;

sub _is_symbol { return blessed($_[0]) && $_[0]->isa('AI::MXNet::Symbol') }

# A value as MXNet writes it.
sub text_of
{
    my $value = shift;
    return 'None' if not defined $value;
    return '(' . join(', ', map { text_of($_) } @$value) . ')' if ref $value eq 'ARRAY';
    return "$value";
}

# What a name may be that is given to this operator.
sub _is_known
{
    my ($operator, $name) = @_;
    return 1 if $operator->{other_params} or $common{$name} or $name =~ /^__.*__$/ or $name =~ $hidden;
    $operator->{known} //= { map { $_ => 1 } @{ $operator->{inputs} }, map { $_->{name} } @{ $operator->{params} } };
    return $operator->{known}{$name} || !@{ $operator->{params} };
}

# Whether undef says something: where a value is wanted, and None is one. Elsewhere it leaves the default.
sub _may_be_none
{
    my ($operator, $name) = @_;
    return grep { $_->{name} eq $name and $_->{type} =~ /None/ and not defined $_->{default} } @{ $operator->{params} };
}

# Inputs by position, and everything that has a name.
sub _arguments
{
    my ($operator, @args) = @_;
    my ($last, $before) = @args[-1, -2];
    if (ref $last eq 'HASH' and not(@args > 1 and defined $before and not ref $before and $before eq 'attr')) {
        pop @args;
        return (\@args, {%$last});
    }
    my %named;
    if (_is_symbol($args[0])) {
        my @inputs;
        push @inputs, shift @args while _is_symbol($args[0]);
        AI::MXNet::Keshi::fail("$operator->{name}: Cannot find argument '0': got "
                . text_of($args[0])
                . ' behind the inputs, want names and values')
            if @args % 2
            or ref $args[0];
        return (\@inputs, {@args});
    }
    while (@args > 1 and defined $args[-2] and not ref $args[-2]) {
        last if not _is_symbol($args[-1]) and not _is_known($operator, $args[-2]);
        my ($name, $value) = splice @args, -2;
        $named{$name} //= $value;
    }
    return (\@args, \%named);
}

# A node: $name is the operator as it was called, $instance the symbol whose method it was.
sub node
{
    my ($operator, $name, $instance, @args) = @_;
    my ($inputs, $named) = _arguments($operator, @args);
    unshift @$inputs, $instance if _is_symbol($instance);
    if (my ($wrong) = grep { !_is_symbol($_) } @$inputs) {
        my $known = join ', ', @{ $operator->{inputs} }, map { $_->{name} } @{ $operator->{params} };
        AI::MXNet::Keshi::fail("$name: Cannot find argument '0': got "
                . text_of($wrong)
                . " by position, which only symbols can be given, want one of the names $known");
    }
    my $attr = AI::MXNet::Symbol::AttrScope->current->get(delete $named->{attr});
    my $own_name = delete $named->{name};
    my @names = sort grep { _is_symbol($named->{$_}) } keys %$named;
    my @symbols = delete @{$named}{@names};
    AI::MXNet::Keshi::fail(
        "$name: _compose only accept input Symbols either as positional or keyword arguments, not both")
        if @names and @$inputs;
    for my $key (grep { defined $named->{$_} or _may_be_none($operator, $_) } keys %$named) {
        $attr->{$key} = text_of($named->{$key});
    }
    $own_name = AI::MXNet::Symbol::NameManager->current->get($own_name, lc $name);
    return AI::MXNet::Keshi::symbol_call($name, $own_name, $attr, @names ? (\@names, \@symbols) : (undef, $inputs));
}

for my $name (AI::MXNet::Keshi::operators(1)) {
    my $operator;
    my $method = sub {
        my ($self, @args) = @_;
        $operator //= AI::MXNet::Keshi::operator($name);
        return node($operator, $name, $self, @args);
    };
    no strict 'refs';
    *$name = $method;
}

1;

__END__

=head1 NAME

AI::MXNet::Symbol::Base - one method for each operator

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my ($x, $y) = map { mx->sym->Variable($_) } qw(x y);
    my $fc = mx->sym->FullyConnected($x, num_hidden => 4, name => 'fc');     # inputs by position
    my $sum = mx->sym->elemwise_add(lhs => $fc, rhs => $y);                  # or by name
    my $out = $sum->clip({ a_min => 0, a_max => 1 });                        # or through the first of them
    print join(' ', @{ $out->list_arguments }), "\n";                        # x fc_weight fc_bias y

=head1 DESCRIPTION

Every operator of the library, under its name and each of its other names, makes a node of a graph: see L<AI::MXNet::Symbol>.

=over 4

=item *

Symbols are the operator's inputs, all by position or all by name. The symbol on which the method is called is the first.
Inputs that are not given become variables, named after the node: C<fc_weight>.

=item *

Parameters have names. Values are numbers, texts and lists. If the last argument is a hash, it holds all that is named.

=item *

C<name> is the name of the node; without one the manager in charge makes one, see L<AI::MXNet::Symbol::NameManager>. C<attr> is
a hash of attributes; those of the scope in charge go under them, see L<AI::MXNet::Symbol::AttrScope>.

=back

=cut
