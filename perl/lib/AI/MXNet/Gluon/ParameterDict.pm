package AI::MXNet::Gluon::ParameterDict;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::NDArray;
use AI::MXNet::Function::Parameters;
use AI::MXNet::Gluon::Constant;
use AI::MXNet::Gluon::Parameter;
use Mouse;
use Scalar::Util qw(refaddr);

extends 'AI::MXNet::Gluon::Arguments';

# Parameters by name, in the order that they came.

use overload
    '""' => \&text,
    '@{}' => sub { [$_[0]->items] },
    'bool' => sub { 1 },
    fallback => 1;

has prefix => (is => 'ro', isa => 'Str', default => '');
has _shared => (is => 'ro', init_arg => 'shared', isa => 'Maybe[AI::MXNet::Gluon::ParameterDict]');
has params => (is => 'ro', init_arg => undef, default => sub { Hash::Ordered->new });

sub python_constructor_arguments { return [qw(prefix shared)] }

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub text
{
    my $self = shift;
    my $prefix = $self->{prefix};
    return (length $prefix ? "$prefix (" : '(') . "\n" . join("\n", map { "   $_" } $self->values) . "\n)";
}

## no critic (ProhibitBuiltinHomonyms)
sub keys { return $_[0]{params}->keys }
sub values { return $_[0]{params}->values }
## use critic
sub items { return $_[0]{params}->as_list }

# The parameter of that name, which may be that of the dictionary this one shares with.
sub _find
{
    my ($self, $name) = @_;
    return $self->{params}->get($name) if $self->{params}->exists($name);
    my $shared = $self->{_shared} or return;
    my $param = $shared->_find($name) or return;
    $self->{params}->set($name, $param);
    return $param;
}

sub get
{
    my ($self, $name, %attribute) = @_;
    $name = $self->{prefix} . $name;
    my $param = $self->_find($name);
    if ($param) {
        _agree($param, $_, $attribute{$_}) for sort CORE::keys %attribute;
        return $param;
    }
    for my $key (sort CORE::keys %attribute) {
        _fail("unknown param $key, " . ($attribute{$key} // 'undef'))
            if not AI::MXNet::Gluon::Parameter->can($key);
    }
    $param = AI::MXNet::Gluon::Parameter->new($name, %attribute);
    $self->{params}->set($name, $param);
    return $param;
}

# What is wanted of a parameter that is there already: known sizes fill in those that are not.
sub _agree
{
    my ($param, $key, $wanted) = @_;
    _fail("unknown param $key, " . ($wanted // 'undef')) if not $param->can($key);
    my $stored = $param->$key;
    if (not defined $stored) {
        $param->$key($wanted) if defined $wanted;
        return;
    }
    return if not defined $wanted;
    my $text = sub { ref $_[0] eq 'ARRAY' ? '(' . join(', ', @{ $_[0] }) . ')' : "$_[0]" };
    if ($key eq 'shape') {
        $wanted = [$wanted] if not ref $wanted;
        my $clash = @$wanted != @$stored
            || grep { $wanted->[$_] and $stored->[$_] and $wanted->[$_] != $stored->[$_] } 0 .. $#$stored;
        if (not $clash) {
            $param->{shape} = [map { $stored->[$_] || $wanted->[$_] } 0 .. $#$stored];
            return;
        }
    }
    my ($desired, $had) = map { $text->($_) } $wanted, $stored;
    _fail("Cannot retrieve Parameter $param->{name} because desired attribute does not match with stored for attribute "
            . "$key: desired $desired vs stored $had")
        if $desired ne $had;
    return;
}

sub get_constant
{
    my ($self, $name, $value) = @_;
    $name = $self->{prefix} . $name;
    my $param = $self->_find($name);
    if ($param) {
        _fail("reinit of Constant $name is not allowed") if defined $value;
        _fail("Parameter $name already exists but it is not a constant.")
            if not $param->isa('AI::MXNet::Gluon::Constant');
        return $param;
    }
    _fail("No constant named '$name'. Please specify value if you want to create a new constant.")
        if not defined $value;
    $param = AI::MXNet::Gluon::Constant->new($name, $value);
    $self->{params}->set($name, $param);
    return $param;
}

# Takes the parameters of another, or those whose names match.
sub update
{
    my ($self, $other, $select) = @_;
    my $params = $self->{params};
    my $iterator = $other->params->iterator;
    while (my ($name, $param) = $iterator->()) {
        next if defined $select and $name !~ $select;
        if ($params->exists($name)) {
            _fail("Cannot update self with other because they have different Parameters with the same name $name")
                if refaddr($params->get($name)) != refaddr($param);
        } else {
            $params->set($name, $param);
        }
    }
    return;
}

method initialize(
    Initializer : $init = AI::MXNet::Initializer->Uniform,
    Maybe [AI::MXNet::Context | ArrayRef [AI::MXNet::Context]] : $ctx =,
    Bool : $verbose = 0,
    Bool : $force_reinit = 0
    )
{
    $init->set_verbosity($verbose) if $verbose and ref $init;
    $_->initialize(ctx => $ctx, default_init => $init, force_reinit => $force_reinit) for $self->values;
    return;
}

sub zero_grad { $_->zero_grad for $_[0]->values; return }

sub reset_ctx
{
    my ($self, $ctx) = @_;
    $_->reset_ctx(ctx => $ctx) for $self->values;
    return;
}

sub setattr
{
    my ($self, $name, $value) = @_;
    $_->$name($value) for $self->values;
    return;
}

# -- files

sub save
{
    my ($self, $file, $strip_prefix) = @_;
    $strip_prefix //= '';
    my %arrays;
    for my $param ($self->values) {
        my $name = $param->name;
        _fail(    "Prefix $strip_prefix is to be striped before saving, but Parameter $name does not start with "
                . "$strip_prefix. This may be due to your Block shares parameters from other Blocks or you forgot to use "
                . 'name_scope when creating child blocks.')
            if index $name, $strip_prefix;
        $arrays{ substr $name, length $strip_prefix } = $param->_reduce;
    }
    return AI::MXNet::NDArray->save($file, \%arrays);
}

method load(
    Str $file,
    Maybe [AI::MXNet::Context | ArrayRef [AI::MXNet::Context]] : $ctx =,
    Bool : $allow_missing = 0,
    Bool : $ignore_extra = 0,
    Str : $restore_prefix = ''
    )
{
    my $loaded = AI::MXNet::NDArray->load($file);
    _fail("load: $file holds arrays without names, want names of Parameters") if ref $loaded ne 'HASH' and @$loaded;
    my %arrays =
        ref $loaded eq 'HASH'
        ? map { ($restore_prefix . s/^(?:arg|aux)://r => $loaded->{$_}) } CORE::keys %$loaded
        : ();
    my $params = $self->{params};
    if (not $allow_missing) {
        for my $name ($self->keys) {
            _fail(    "Parameter $name is missing in file $file, which contains parameters: "
                    . _some(CORE::keys %arrays)
                    . '. Please make sure source and target networks have the same prefix.')
                if not exists $arrays{$name};
        }
    }
    for my $name (sort CORE::keys %arrays) {
        if ($params->exists($name)) {
            $params->get($name)->_load_init($arrays{$name}, $ctx);
        } elsif (not $ignore_extra) {
            _fail(    "Parameter $name loaded from file $file is not present in ParameterDict, choices are: "
                    . _some($self->keys)
                    . '. Set ignore_extra=>1 to ignore. Please make sure source and target networks have the same prefix.'
            );
        }
    }
    return;
}

# A few names out of many.
sub _some
{
    my @names = sort @_;
    splice @names, 5, @names - 10, '...' if @names > 11;
    return join ', ', @names;
}

__PACKAGE__->register('AI::MXNet::Gluon');
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::Gluon::ParameterDict - the parameters of a block, by name

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $params = gluon->ParameterDict('net_');
    $params->get('weight', shape => [2, 3]);
    $params->get('bias', shape => [2], init => 'zeros');
    $params->initialize(init => mx->init->One());
    print $params, "\n";
    print "$_\n" for $params->keys;

=head1 DESCRIPTION

C<get($name, %attributes)> makes the parameter C<prefix.name>, or finds it: what is asked for must then agree with what it is.
With C<shared> (the second argument of C<new>) parameters are looked for in another dictionary first. C<keys>, C<values> and
C<items> keep the order of making; C<@$params> are names and parameters in turn.

C<get_constant($name, $value)>, C<update($other, $select)>, C<initialize(init =E<gt>, ctx =E<gt>, force_reinit =E<gt> 0)>,
C<zero_grad>, C<setattr($name =E<gt> $value)> and C<reset_ctx($ctx)> do what their names say, for all.

C<save($file, $strip_prefix)> and C<load($file, ctx =E<gt>, allow_missing =E<gt> 0, ignore_extra =E<gt> 0, restore_prefix
=E<gt> '')> keep them under their names.

=cut
