package AI::MXNet::EvalMetric;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use Scalar::Util qw(blessed);
use Data::Dumper ();
use Mouse;

# What all metrics share: a sum and a count that updates add to, names, and how to make the same metric again.

use overload '""' => \&_text, fallback => 1;

has name => (is => 'rw', isa => 'Str', default => 'metric');
has num => (is => 'rw', isa => 'Maybe[Int]');
has [qw(num_inst sum_metric)] => (is => 'rw', init_arg => undef);
has _given => (is => 'ro', isa => 'HashRef', default => sub { +{} });

# Leading arguments are those that python_constructor_arguments lists; pairs behind them go by name.
around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    @args = %{ $args[0] } if @args == 1 and ref $args[0] eq 'HASH';
    my %named;
    while (@args >= 2 and defined $args[-2] and not ref $args[-2] and $class->meta->find_attribute_by_name($args[-2])) {
        my ($name, $value) = splice @args, -2;
        $named{$name} = $value;
    }
    my @names = $class->python_constructor_arguments;
    AI::MXNet::Keshi::fail("$class: got " . @args . ' positional arguments, want at most ' . @names) if @args > @names;
    for my $i (grep { defined $args[$_] } 0 .. $#args) {
        $named{ $names[$i] } = $args[$i];
    }
    return $class->$orig(%named, _given => {%named});
};

sub python_constructor_arguments { return qw(name) }

sub BUILD
{
    my $self = shift;
    $self->reset;
    return;
}

sub reset    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    $self->num_inst(defined $self->num ? [(0) x $self->num] : 0);
    $self->sum_metric(defined $self->num ? [(0) x $self->num] : 0);
    return;
}

sub update
{
    my $self = shift;
    return AI::MXNet::Keshi::fail(ref($self) . ': update is not implemented');
}

sub get
{
    my $self = shift;
    return ($self->name, $self->_value($self->sum_metric, $self->num_inst)) if not defined $self->num;
    my @indices = 0 .. $self->num - 1;
    return (
        [map { $self->name . "_$_" } @indices],
        [map { $self->_value($self->sum_metric->[$_], $self->num_inst->[$_]) } @indices],
    );
}

# What a sum over so many instances comes to.
sub _value
{
    my ($self, $sum, $count) = @_;
    return $count == 0 ? 'nan' : $sum / $count;
}

sub get_name_value
{
    my $self = shift;
    my ($names, $values) = map { ref $_ ? $_ : [$_] } $self->get;
    my %value;
    @value{@$names} = @$values;
    return \%value;
}

# The arguments that make such a metric.
sub get_config
{
    my $self = shift;
    my ($class) = ref($self) =~ /(\w+)$/;
    return { %{ $self->_given }, metric => $class, name => $self->name };
}
sub TO_JSON { return $_[0]->get_config }

sub _text
{
    my $self = shift;
    local $Data::Dumper::Terse = 1;
    local $Data::Dumper::Sortkeys = 1;
    return 'EvalMetric: ' . Data::Dumper::Dumper($self->get_name_value);
}

# -- for classes of metrics

sub _check_arrays
{
    my ($self, $what, $list) = @_;
    AI::MXNet::Keshi::fail(ref($self) . ": $what got " . ($list // 'undef') . ', want a list of arrays')
        if ref $list ne 'ARRAY'
        or grep { not blessed $_ or not $_->isa('AI::MXNet::NDArray') } @$list;
    return;
}

# Labels and predictions in pairs.
sub _pairs
{
    my ($self, $labels, $preds) = @_;
    $self->_check_arrays(labels => $labels);
    $self->_check_arrays(preds => $preds);
    AI::MXNet::Keshi::fail('Shape of labels ' . @$labels . ' does not match shape of predictions ' . @$preds)
        if @$labels != @$preds;
    return map { [$labels->[$_], $preds->[$_]] } 0 .. $#$labels;
}

sub _same_size
{
    my ($label, $pred) = @_;
    return if $label->size == $pred->size;
    my ($of_label, $of_pred) = map { join 'x', @{ $_->shape } } $label, $pred;
    return AI::MXNet::Keshi::fail("Shape of labels $of_label does not match shape of predictions $of_pred");
}

sub _count
{
    my ($self, $sum, $count) = @_;
    $self->{sum_metric} += $sum;
    $self->{num_inst} += $count;
    return;
}

__PACKAGE__->meta->make_immutable;
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::EvalMetric - what all metrics share

=head1 SYNOPSIS

    package My::Largest;
    use Mouse;
    use AI::MXNet qw(mx);
    extends 'AI::MXNet::EvalMetric';
    has '+name' => (default => 'largest');
    sub update
    {
        my ($self, $labels, $preds) = @_;
        $self->sum_metric($self->sum_metric + $_->max->asscalar) for @$preds;
        $self->num_inst($self->num_inst + @$preds);
    }

    package main;
    use AI::MXNet qw(mx);
    my $metric = My::Largest->new;
    $metric->update([], [nd->array([1, 5, 3])]);
    printf "%s %g\n", $metric->get;    # largest 5

=head1 DESCRIPTION

C<update(\@labels, \@preds)> adds to C<sum_metric> and C<num_inst>; C<get> returns C<name> and their quotient (C<nan> while nothing was
counted); C<reset> starts anew. Where C<num> is a number, the sums and counts are lists of that length, and C<get> returns a list of
names with numbers behind them and a list of values. C<get_name_value> is a hash of both. C<get_config> is a hash from which
C<< mx->metric->create >> makes the same metric, given as JSON.

The metrics that there are: L<AI::MXNet::Metric>.

=cut
