package AI::MXNet::Symbol::Infer;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Base qw(DTYPE_STR_TO_MX);
use AI::MXNet::Logging;
use AI::MXNet::Symbol::Base;

# Shapes and dtypes of all that a symbol takes and gives, from those of some.

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub _shape_text { return '(' . join(',', @{ $_[0] }) . ')' }

# Names, or undef for values by position, and the values.
sub _given
{
    my ($self, $type, $is, $blank, @args) = @_;
    my $wrong = sub { _fail("Argument needs to be of type $type, got " . AI::MXNet::Symbol::Base::text_of($_[0])) };
    my $by_position = @args && (ref $args[0] || !defined $args[0] || ($type eq 'Dtype' && $is->($args[0])));
    if ($by_position) {
        my @values = map { defined ? $is->($_) ? $_ : $wrong->($_) : $blank } @args;
        return (undef, \@values) if $type eq 'Shape';
        my @names = @{ $self->list_arguments };
        my @at = grep { defined $args[$_] } 0 .. $#args;
        return ([@names[@at]], [@args[@at]]);
    }
    _fail("Argument needs to be of type $type: got a name without a value") if @args % 2;
    my %known = map { $_ => 1 } @{ $self->list_inputs };
    my (@names, @values);
    while (my ($name, $value) = splice @args, 0, 2) {
        _fail("Keyword argument name $name not found, want one of " . join ', ', sort keys %known) if not $known{$name};
        next if not defined $value;
        $wrong->($value) if not $is->($value);
        push @names, $name;
        push @values, $value;
    }
    return (\@names, \@values);
}

sub _is_shape
{
    return ref $_[0] eq 'ARRAY' && !grep { !defined or ref or !/^-?\d+$/ } @{ $_[0] };
}

# Shapes of arguments, outputs and states; undef or 0 where nothing follows.
sub _infer_shape
{
    my ($self, @given) = @_;
    my ($names, $shapes) = _given($self, 'Shape', \&_is_shape, [], @given);
    $names //= [] if not @$shapes;
    my @all = AI::MXNet::Keshi::symbol_infer_shape($self, $names, $shapes);
    return $self->_by_list(@all);
}

# Cuts what goes for arguments, outputs and states.
sub _by_list
{
    my ($self, @all) = @_;
    my @args = splice @all, 0, scalar @{ $self->list_arguments };
    my @outs = splice @all, 0, scalar @{ $self->list_outputs };
    return (\@args, \@outs, \@all);
}

sub _is_complete
{
    return $_[0] && @{ $_[0] } && !grep { $_ == 0 } @{ $_[0] };
}

sub infer_shape
{
    my ($self, @given) = @_;
    my ($args, $outs, $aux) = $self->_infer_shape(@given);
    return ($args, $outs, $aux) if not grep { !_is_complete($_) } @$args, @$outs, @$aux;
    my @names = @{ $self->list_arguments };
    my @open =
        map { "$names[$_]: " . ($args->[$_] ? _shape_text($args->[$_]) : '()') }
        grep { !_is_complete($args->[$_]) } 0 .. $#names;
    AI::MXNet::Logging->warning(
        "%s",
"Cannot decide shape for the following arguments (0s in shape means unknown dimensions). Consider providing them as "
            . "input:\n\t"
            . join "\n\t",
        @open
    );
    return (undef, undef, undef);
}

sub infer_shape_partial
{
    my ($self, @given) = @_;
    return map {
        [map { $_ // [] } @$_]
    } $self->_infer_shape(@given);
}

# Dtypes of arguments, outputs and states; undef where nothing follows.
sub _infer_type
{
    my ($self, @given) = @_;
    my $is = sub { defined $_[0] and not ref $_[0] and defined DTYPE_STR_TO_MX->{ $_[0] } };
    my ($names, $dtypes) = _given($self, 'Dtype', $is, undef, @given);
    my $count = @{ $self->list_arguments } + @{ $self->list_outputs } + @{ $self->list_auxiliary_states };
    return $self->_by_list(AI::MXNet::Keshi::symbol_infer_type($self, $names // [], $dtypes, $count));
}

sub infer_type
{
    my ($self, @given) = @_;
    my @lists = $self->_infer_type(@given);
    return grep({ !defined } map { @$_ } @lists) ? (undef, undef, undef) : @lists;
}

sub infer_type_partial
{
    my ($self, @given) = @_;
    return $self->_infer_type(@given);
}

1;
